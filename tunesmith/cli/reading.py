"""`report`, `fetch`, `infer`: what a run has left. Each needs the run's name and the store only."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tunesmith.cli.options import AsJson, AsOutput, Name, Output, Store
from tunesmith.cli.running import open_runs, stored_run
from tunesmith.errors import ExitCode, Gone

if TYPE_CHECKING:
    from tunesmith.local.store import RunStore
    from tunesmith.resolve import Snapshot

Part = Literal["dataset", "adapter", "model", "report"]


def report(
    context: typer.Context,
    name: Name,
    *,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Show the figures of a run, and where its report is. --json prints report.json."""
    from tunesmith.cli.summary import figures, shown

    runs = open_runs(context, store)
    snapshot = stored_run(runs, name)
    evaluate = runs.manifests(snapshot).get("evaluate")
    if evaluate is None:
        raise Gone(f"run {name} has no report: evaluate is not done", reason="NoReport", remedy=f"go on with `tunesmith retry {name}`")
    if as_json or output is Output.JSON:
        print(runs.read(f"{evaluate.folder}/report.json").decode(), end="")
        return ExitCode.DONE
    print(figures(evaluate.metrics))
    page = f"{runs.url}/{evaluate.folder}/report.html"
    if open_:
        page = _local_page(runs, snapshot, page)
        import webbrowser

        opened = webbrowser.open(page)
        print("opened" if opened else "no browser to open it in", file=sys.stderr)
    print(f"report: {shown(page)}")
    return ExitCode.DONE


def _local_page(runs: "RunStore", snapshot: "Snapshot", page: str) -> str:
    """The report as a file of this machine."""
    from tunesmith.cli.screen import screen
    from tunesmith.local.places import run_place

    if page.startswith("file://"):
        return page
    folder = run_place(runs.url, snapshot.run, os.environ).folder / "report"
    with screen(verbose=False) as shown:
        runs.fetch(snapshot, folder, "report", shown)
    return next(folder.rglob("report.html")).as_uri()


def fetch(
    context: typer.Context,
    name: Name,
    *,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder that the files are copied to.")],
    only: Annotated[Part | None, typer.Option(help="Just this part.")] = None,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Copy dataset, adapter, model and report of a run to a folder, each file checked against its sha256.

    What is there already and whole is kept, so a fetch that was cut off goes on.
    """
    from tunesmith.cli.screen import screen

    runs = open_runs(context, store)
    snapshot = stored_run(runs, name)
    with screen(verbose=False) as shown:
        answer = runs.fetch(snapshot, to.absolute(), only or "", shown)
    if as_json or output is Output.JSON:
        print(json.dumps({"format": 1, "run": name, "to": str(to.absolute()), "fetched": answer}, indent=1, ensure_ascii=False))
    else:
        print(f"fetched {only or 'dataset, adapter, model and report'} of {name} to {to.absolute()}")
    return ExitCode.DONE


def infer(
    context: typer.Context,
    name: Name,
    prompt: Annotated[str, typer.Argument(help="What to ask; - reads standard input.")],
    *,
    max_new_tokens: Annotated[int, typer.Option(min=0, metavar="N", help="New tokens at most. Built-in: evaluation.maxNewTokens.")] = 0,
    compare: Annotated[bool, typer.Option("--compare", help="Ask the base model too.")] = False,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Ask the tuned model of a run."""
    from tunesmith.local.call import call
    from tunesmith.local.environment import stage_environment
    from tunesmith.local.store import snapshot_file

    runs = open_runs(context, store)
    snapshot = stored_run(runs, name)
    if "merge" not in runs.manifests(snapshot):
        raise Gone(f"run {name} has no model yet: merge is not done", reason="NoModel", remedy=f"go on with `tunesmith retry {name}`")
    text = sys.stdin.read() if prompt == "-" else prompt
    tokens = max_new_tokens or snapshot.spec.evaluation.max_new_tokens
    more = [*(["--compare"] if compare else []), *(["--json"] if as_json or output is Output.JSON else [])]
    with snapshot_file(snapshot) as request:
        command = context.obj.module_command(
            "infer", "--request", str(request), "--store", runs.url, f"--prompt={text}", "--max-new-tokens", str(tokens), *more
        )
        return call(command, stage_environment("evaluate", snapshot, os.environ))
