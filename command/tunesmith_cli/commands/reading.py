"""`report`, `fetch`, `infer`: what a run has left, in the store of this machine or of a request on a cluster.

On a cluster the data comes with the caller's own S3 credentials where they open the store, else through a short-lived pod.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import ExitCode, Gone
from tunesmith.stages import PartName
from tunesmith_cli.commands.options import AsJson, AsOutput, Name, Output, Store
from tunesmith_cli.commands.place import Where, either
from tunesmith_cli.commands.running import open_runs, stored_run
from tunesmith_cli.commands.terminal import tell

if TYPE_CHECKING:
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.cluster.data import Runs
    from tunesmith_cli.cluster.session import RunData


@either
def report(
    context: typer.Context,
    name: Name,
    *,
    where: Where,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Show the figures of a run, and where its report is. --json prints report.json."""
    from tunesmith_cli.commands.summary import figures, shown

    with _opened(context, where, name, store) as (runs, snapshot):
        evaluate = runs.manifests(snapshot).get("evaluate")
        if evaluate is None:
            raise Gone(
                f"run {snapshot.run} has no report: evaluate is not done",
                reason="NoReport",
                remedy=_go_on(where, name),
            )
        if as_json or output is Output.JSON:
            print(runs.read(f"{evaluate.folder}/report.json").decode(), end="")
            return ExitCode.DONE
        print(figures(evaluate.metrics))
        page = f"{runs.url}/{evaluate.folder}/report.html"
        if open_:
            page = _local_page(runs, snapshot, page)
    if open_:
        import webbrowser

        print("opened" if webbrowser.open(page) else "no browser to open it in", file=sys.stderr)
    print(f"report: {shown(page)}")
    return ExitCode.DONE


@contextlib.contextmanager
def _opened(context: typer.Context, where: Where, name: str, store: str) -> "Iterator[tuple[Runs, Snapshot]]":
    """The store of a run, and what the run was last asked to do."""
    if not where.cluster:
        runs = open_runs(context, store)
        yield runs, stored_run(runs, name)
        return
    from tunesmith_cli.cluster.data import opened

    data = _there(where, name)
    with opened(where.api(), data, os.environ, context.obj, tell) as there:
        yield there, data.snapshot


def _there(where: Where, name: str) -> "RunData":
    """Snapshot and profile of a request on the cluster."""
    from tunesmith_cli.cluster.data import run_data
    from tunesmith_cli.cluster.requests import get

    return run_data(where.api(), get(where.api(), where.here(), name))


def _go_on(where: Where, name: str) -> str:
    return (
        f"`{where.command('status', name)}` shows how it stands"
        if where.cluster
        else f"go on with `tunesmith retry {name}`"
    )


def _local_page(runs: "Runs", snapshot: "Snapshot", page: str) -> str:
    """The report as a file of this machine."""
    from tunesmith_cli.commands.screen import screen
    from tunesmith_cli.local.places import run_place

    if page.startswith("file://"):
        return page
    folder = run_place(runs.url, snapshot.run, os.environ).folder / "report"
    with screen(verbose=False) as shown:
        runs.fetch(snapshot, folder, "report", shown)
    return next(folder.rglob("report.html")).as_uri()


@either
def fetch(
    context: typer.Context,
    name: Name,
    *,
    where: Where,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder that the files are copied to.")],
    only: Annotated[PartName | None, typer.Option(help="Just this part.")] = None,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Copy dataset, adapter, model and report of a run to a folder, each file checked against its sha256.

    What is there already and whole is kept, so a fetch that was cut off goes on.
    """
    from tunesmith_cli.commands.screen import screen

    with _opened(context, where, name, store) as (runs, snapshot), screen(verbose=False) as shown:
        answer = runs.fetch(snapshot, to.absolute(), only or "", shown)
    if as_json or output is Output.JSON:
        print(
            json.dumps(
                {"format": 1, "run": name, "to": str(to.absolute()), "fetched": answer},
                indent=1,
                ensure_ascii=False,
            )
        )
    else:
        print(f"fetched {only or 'dataset, adapter, model and report'} of {name} to {to.absolute()}")
    return ExitCode.DONE


@either
def infer(
    context: typer.Context,
    name: Name,
    prompt: Annotated[str, typer.Argument(help="What to ask; - reads standard input.")],
    *,
    where: Where,
    max_new_tokens: Annotated[
        int, typer.Option(min=0, metavar="N", help="New tokens at most. Built-in: evaluation.maxNewTokens.")
    ] = 0,
    compare: Annotated[bool, typer.Option("--compare", help="Ask the base model too.")] = False,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Ask the tuned model of a run; on the cluster in a short-lived pod like evaluate's."""
    from tunesmith_cli.local.call import call
    from tunesmith_cli.local.environment import stage_environment
    from tunesmith_cli.local.store import snapshot_file

    text = sys.stdin.read() if prompt == "-" else prompt
    in_json = as_json or output is Output.JSON
    if where.cluster:
        return _infer_there(
            where,
            name,
            {"prompts": [text], "maxNewTokens": max_new_tokens, "compare": compare, "json": in_json},
        )
    runs = open_runs(context, store)
    snapshot = stored_run(runs, name)
    if "merge" not in runs.manifests(snapshot):
        raise Gone(
            f"run {name} has no model yet: merge is not done",
            reason="NoModel",
            remedy=f"go on with `tunesmith retry {name}`",
        )
    tokens = max_new_tokens or snapshot.spec.evaluation.max_new_tokens
    more = [*(["--compare"] if compare else []), *(["--json"] if in_json else [])]
    with snapshot_file(snapshot) as request:
        command = context.obj.module_command(
            "infer",
            "--request",
            str(request),
            "--store",
            runs.url,
            f"--prompt={text}",
            "--max-new-tokens",
            str(tokens),
            *more,
        )
        return call(command, stage_environment("evaluate", snapshot, os.environ))


def _infer_there(where: Where, name: str, question: dict[str, Any]) -> int:
    """Ask in a pod of the request's namespace; the answer's exit code."""
    from tunesmith_cli.cluster.requests import status_of
    from tunesmith_cli.cluster.session import session

    data = _there(where, name)
    done = {(one.stage, one.key) for one in status_of(data.request).finished}
    if ("merge", data.snapshot.key("merge")) not in done:
        raise Gone(
            f"{name} has no model yet: merge is not done", reason="NoModel", remedy=_go_on(where, name)
        )
    code: int = ExitCode.DONE
    with session(where.api(), data, "infer", tell) as runs:
        tell("loading the model")
        for said in runs.infer({"snapshot": json.loads(data.snapshot.to_json()), **question}):
            sys.stdout.write(said.get("out", ""))
            sys.stdout.flush()
            sys.stderr.write(said.get("err", ""))
            code = int(said.get("exit", code))
    if code < 0:
        tell(
            f"the process that answers was ended by signal {-code}: for its memory, perhaps; then give stages.evaluate.resources more"
        )
        return 128 - code  # as a shell says it
    return code
