"""`report`, `fetch`, `infer`: the results of a run, in the store of this machine or of a request on a
cluster.

On a cluster the data comes with the caller's own S3 credentials if they open the store, else through a
short-lived pod.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.errors import ExitCode, Gone
from tunesmith.stages import JUDGED, PARTS, PartName
from tunesmith_cli.commands.options import AsJson, AsOutput, Name, Output, Store
from tunesmith_cli.commands.stored_runs import open_runs, stored_run
from tunesmith_cli.commands.target import Target, either
from tunesmith_cli.commands.terminal import say, say_exactly, say_json, tell

if TYPE_CHECKING:
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.cluster.run_data import RunData
    from tunesmith_cli.cluster.runs import Runs

_MODEL = PARTS["model"][0]  # the stage that makes the model


@either
def report(
    context: typer.Context,
    name: Name,
    *,
    target: Target,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Show the figures of a run, and where its report is. --json prints report.json."""
    from tunesmith_cli.commands.summary import figures, shown

    with opened(context, target, name, store) as (runs, snapshot):
        evaluated = runs.manifests(snapshot).get(JUDGED)
        if evaluated is None:
            raise Gone(
                f"run {snapshot.run} has no report: {JUDGED} is not done",
                reason="NoReport",
                remedy=_continue(target, name),
            )
        if as_json or output is Output.JSON:
            say_exactly(runs.read(f"{evaluated.folder}/report.json").decode(), end="")
            return ExitCode.DONE
        say(figures(evaluated.metrics))
        page = f"{runs.url}/{evaluated.folder}/{PARTS['report'][1].page}"
        if open_:
            page = _local_page(runs, snapshot, page)
    if open_:
        import webbrowser

        tell("opened" if webbrowser.open(page) else "no browser to open it in")
    say(f"report: {shown(page)}")
    return ExitCode.DONE


@contextlib.contextmanager
def opened(
    context: typer.Context, target: Target, name: str, store: str
) -> "Iterator[tuple[Runs, Snapshot]]":
    """The store of a run, and what the run was last asked to do."""
    if not target.cluster:
        runs = open_runs(context, store)
        yield runs, stored_run(runs, name)
        return
    from tunesmith_cli.cluster import runs as remote_runs

    data = _data_of_request(target, name)
    with remote_runs.opened(target.api(), data, os.environ, context.obj, tell) as remote:
        yield remote, data.snapshot


def _data_of_request(target: Target, name: str) -> "RunData":
    """Snapshot and profile of a request on the cluster."""
    from tunesmith_cli.cluster.requests import get
    from tunesmith_cli.cluster.run_data import run_data

    return run_data(target.api(), get(target.api(), target.namespace(), name))


def _continue(target: Target, name: str) -> str:
    """What to do about a run that is not finished."""
    if target.cluster:
        return f"`{target.command('status', name)}` shows its state"
    return f"continue with `tunesmith retry {name}`"


def _local_page(runs: "Runs", snapshot: "Snapshot", page: str) -> str:
    """URL of the report as a file of this machine."""
    from tunesmith_cli.commands.screen import screen
    from tunesmith_cli.local.folders import run_folder

    if page.startswith("file://"):
        return page
    folder = run_folder(runs.url, snapshot.run, os.environ).path / "report"
    with screen(verbose=False) as show:
        runs.fetch(snapshot, folder, "report", show)
    return next(folder.rglob(PARTS["report"][1].page)).as_uri()


@either
def fetch(
    context: typer.Context,
    name: Name,
    *,
    target: Target,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder that the files are copied to.")],
    only: Annotated[PartName | None, typer.Option(help="Just this part.")] = None,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Copy dataset, adapter, model and report of a run to a folder, each file checked against its sha256.

    A file that is there already and whole is kept, so a fetch that was interrupted resumes.
    """
    from tunesmith_cli.commands.screen import screen

    with opened(context, target, name, store) as (runs, snapshot), screen(verbose=False) as show:
        answer = runs.fetch(snapshot, to.absolute(), only or "", show)
    if as_json or output is Output.JSON:
        document = {"format": 1, "run": name, "to": str(to.absolute()), "fetched": answer}
        say_json(document)
    else:
        say(f"fetched {only or 'dataset, adapter, model and report'} of {name} to {to.absolute()}")
    return ExitCode.DONE


@dataclass(frozen=True)
class Question:
    """What the model is asked. `max_new_tokens`: 0 means evaluation.maxNewTokens."""

    prompt: str
    max_new_tokens: int
    compare: bool
    in_json: bool


@either
def infer(
    context: typer.Context,
    name: Name,
    prompt: Annotated[str, typer.Argument(help="What to ask; - reads standard input.")],
    *,
    target: Target,
    max_new_tokens: Annotated[
        int, typer.Option(min=0, metavar="N", help="New tokens at most. Built-in: evaluation.maxNewTokens.")
    ] = 0,
    compare: Annotated[bool, typer.Option("--compare", help="Ask the base model too.")] = False,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Ask the tuned model of a run; on the cluster in a short-lived pod like evaluate's."""
    text = sys.stdin.read() if prompt == "-" else prompt
    question = Question(text, max_new_tokens, compare, as_json or output is Output.JSON)
    if target.cluster:
        return infer_there(target, name, _data_of_request(target, name), question)
    return _infer_here(context, name, store, question)


def _infer_here(context: typer.Context, name: str, store: str, question: Question) -> int:
    """Ask on this machine; the exit code of the process that answers."""
    from tunesmith_cli.local.environment import stage_environment
    from tunesmith_cli.local.foreground import run_in_foreground
    from tunesmith_cli.local.store import snapshot_file

    runs = open_runs(context, store)
    snapshot = stored_run(runs, name)
    if _MODEL not in runs.manifests(snapshot):
        raise Gone(
            f"run {name} has no model yet: {_MODEL} is not done",
            reason="NoModel",
            remedy=f"continue with `tunesmith retry {name}`",
        )
    with snapshot_file(snapshot) as request:
        arguments = ["--request", str(request), "--store", runs.url, f"--prompt={question.prompt}"]
        tokens = question.max_new_tokens or snapshot.spec.evaluation.max_new_tokens
        arguments += ["--max-new-tokens", str(tokens)]
        arguments += ["--compare"] if question.compare else []
        arguments += ["--json"] if question.in_json else []
        command = context.obj.module_command("infer", *arguments)
        return run_in_foreground(command, stage_environment(JUDGED, snapshot, os.environ))


def infer_there(target: Target, name: str, data: "RunData", question: Question) -> int:
    """Ask in a pod of the request's namespace; the exit code of the process that answers."""
    from tunesmith_cli.cluster.requests import status_of
    from tunesmith_cli.cluster.session import session

    done = {(finished.stage, finished.key) for finished in status_of(data.request).finished}
    if (_MODEL, data.snapshot.key(_MODEL)) not in done:
        raise Gone(
            f"{name} has no model yet: {_MODEL} is not done", reason="NoModel", remedy=_continue(target, name)
        )
    body = {
        "snapshot": json.loads(data.snapshot.to_json()),
        "prompts": [question.prompt],
        "maxNewTokens": question.max_new_tokens,
        "compare": question.compare,
        "json": question.in_json,
    }
    code: int = ExitCode.DONE
    with session(target.api(), data, "infer", tell) as runs:
        tell("loading the model")
        for output in runs.infer(body):
            say(output.get("out", ""), end="")
            tell(output.get("err", ""), end="")
            code = int(output.get("exit", code))
    if code < 0:
        tell(
            f"the process that answers was ended by signal {-code}; if it ran out of memory, "
            "give stages.evaluate.resources more"
        )
        return 128 - code  # as a shell says it
    return code
