"""`status`: the runs of a store, or one run with its stages. On a cluster see cluster_status.py."""

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import ExitCode, Usage
from tunesmith.plain_text import indented, one_line
from tunesmith.wire import GATE_NOT_PASSED
from tunesmith_cli.commands.options import AsJson, AsListing, Listing, Store, names
from tunesmith_cli.commands.source_check import check_source, line
from tunesmith_cli.commands.stored_runs import open_runs, stored_run
from tunesmith_cli.commands.target import Target, either_everywhere
from tunesmith_cli.commands.terminal import age, duration, fitted, print_document, say, table, tell

if TYPE_CHECKING:
    from tunesmith.events import Progress
    from tunesmith.gate import Verdict
    from tunesmith.manifest import Manifest
    from tunesmith.resolve import Snapshot
    from tunesmith_cli.local.observe import Observed
    from tunesmith_cli.local.store import RunStore

CheckSources = Annotated[
    bool,
    typer.Option(
        "--check-sources", help="Of one run: say whether its own data is still what the run has read."
    ),
]
_LEAST = {"MODEL": 8, "NAME": 16}  # what may be cut for 80 columns, in this order, and to how much


@either_everywhere
def status(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="A run, or on the cluster a request. Without it: all.",
            autocompletion=names,
        ),
    ] = "",
    *,
    target: Target,
    watch: Annotated[
        bool,
        typer.Option("-w", "--watch", help="On the cluster: show each change; of one request to its end."),
    ] = False,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="On the cluster: exit with 1 if the request has failed.")
    ] = False,
    check_sources: CheckSources = False,
    store: Store = "",
    as_json: AsJson = False,
    output: AsListing = Listing.TEXT,
) -> int:
    """Show the runs of a store, or one run with its stages; on a cluster, show the requests."""
    form = Listing.JSON if as_json else output
    if check_sources and (not name or watch):
        raise Usage("--check-sources looks once at the data of one run", remedy="give its NAME, without -w")
    if target.cluster:
        from tunesmith_cli.commands import cluster_status, cluster_watch

        if exit_status and not name:
            raise Usage("--exit-status is that of one request", remedy="give its NAME")
        if name and target.all_namespaces:
            raise Usage(
                "-A lists the requests of all namespaces, and a NAME belongs to one",
                remedy="leave out -A, and name the namespace with -n",
            )
        if check_sources:
            source = check_source(context, target, name, store)
            return cluster_status.show_with_source(target, name, form, source, exit_status=exit_status)
        show = cluster_watch.show if watch else cluster_status.show
        return show(target, name, form, exit_status=exit_status)
    if watch or exit_status:
        raise Usage(
            "-w and --exit-status follow a request on a cluster",
            remedy=f"on this machine: `tunesmith logs {name or 'NAME'} -f`",
        )
    runs = open_runs(context, store)
    if check_sources:
        _show_run(runs, name, form, {"source": check_source(context, target, name, store)})
    elif name:
        _show_run(runs, name, form, {})
    else:
        _list_runs(runs, form)
    return ExitCode.DONE


def _list_runs(runs: "RunStore", form: Listing) -> None:
    rows = [_row(runs, entry) for entry in runs.runs()]
    if form in (Listing.JSON, Listing.YAML):
        print_document({"format": 1, "store": runs.url, "runs": rows}, form)
    elif form is Listing.NAME:
        say("".join(f"{row['run']}\n" for row in rows), end="")
    elif not rows:
        tell(f"no runs in {runs.url}")
    else:
        cells = [("NAME", "PHASE", "STAGE", "PROGRESS", "MODEL", "AGE"), *(_cells(row) for row in rows)]
        say(table(cells if form is Listing.WIDE else fitted(cells, _LEAST)))


def _row(runs: "RunStore", entry: dict[str, Any]) -> dict[str, Any]:
    """A run of the store's list, with what this machine knows about it."""
    from tunesmith_cli.local.folders import run_folder
    from tunesmith_cli.local.observe import observe

    created = datetime.fromisoformat(entry["created"]).replace(tzinfo=UTC)
    row = {name: entry[name] for name in ("run", "phase", "stage", "progress", "model")}
    row["created"] = created.isoformat()
    observed = observe(run_folder(runs.url, entry["run"], os.environ))
    if observed.running:
        stage = observed.stage or row["stage"]
        return row | {"phase": "Running", "stage": stage, "progress": _progress(observed.progress)}
    failed = observed.ended.reason if observed.ended and not observed.ended.well else ""
    if failed == GATE_NOT_PASSED or (failed and row["phase"] != "Complete"):
        return row | {"phase": "Stopped" if failed == "Stopped" else "Failed"}
    return row


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    seconds = time.time() - datetime.fromisoformat(row["created"]).timestamp()
    model = one_line(row["model"].rstrip("/").rpartition("/")[2]) or "<unknown>"
    return (row["run"], row["phase"], row["stage"] or "<none>", row["progress"], model, age(seconds))


def _show_run(runs: "RunStore", name: str, form: Listing, more: dict[str, Any]) -> None:
    """Show one run. `more`: further members, `source` for the own data that was checked."""
    from tunesmith import gate
    from tunesmith_cli.commands.summary import end_json, run_json
    from tunesmith_cli.local.folders import run_folder
    from tunesmith_cli.local.observe import observe

    snapshot = stored_run(runs, name)
    done = runs.manifests(snapshot)
    observed = observe(run_folder(runs.url, name, os.environ))
    verdict = gate.verdict(snapshot.spec, done)
    phase = _phase(observed, verdict, complete=len(done) == len(snapshot.stages))
    if form is Listing.NAME:
        say(name)
        return
    if form in (Listing.JSON, Listing.YAML):
        document = run_json(runs, snapshot, done)
        document["phase"] = phase
        document["progress"] = (
            observed.progress.model_dump(mode="json", by_alias=True, exclude={"event"})
            if observed.running and observed.progress
            else None
        )
        document["end"] = end_json(observed.ended) if observed.ended else None
        print_document(document | more, form)
        return
    _print_run(runs, snapshot, done, observed, phase=phase, verdict=verdict)
    if "source" in more:
        say(f"\n{line(more['source'])}")


def _print_run(
    runs: "RunStore",
    snapshot: "Snapshot",
    done: "dict[str, Manifest]",
    observed: "Observed",
    *,
    phase: str,
    verdict: "Verdict | None",
) -> None:
    from tunesmith.stages import JUDGED
    from tunesmith_cli.commands.summary import figures, part_urls, shown

    say(f"run {snapshot.run} in {shown(runs.url)}: {phase}, base {one_line(snapshot.spec.model.base)}\n")
    end = observed.ended
    rows = [("STAGE", "KEY", "PHASE", "TIME")]
    for entry in snapshot.stages:
        if entry.name in done:
            rows.append((entry.name, entry.key, "Done", duration(done[entry.name].seconds)))
        elif observed.stage == entry.name and (observed.running or not end or not end.well):
            progress = _progress(observed.progress) if observed.running else ""
            rows.append((entry.name, entry.key, phase, progress))
        else:
            rows.append((entry.name, entry.key, "Waiting", ""))
    say(table(rows))
    if verdict:
        say(f"\n{verdict}")
    elif end and not end.well and len(done) < len(snapshot.stages):
        say(f"\n{end.reason}: {indented(end.message)}\nWhat to do: {indented(end.remedy)}")
    if JUDGED in done:
        say(f"\n{figures(done[JUDGED].metrics)}")
    say()
    for part, url in part_urls(runs, done).items():
        say(f"  {part:<8} {shown(url)}")


def _phase(observed: "Observed", verdict: "Verdict | None", *, complete: bool) -> str:
    """How a run stands, in one word. `complete`: all its stages are done."""
    if observed.running:
        return "Running"
    if verdict is not None and not verdict.passed:
        return "Failed"
    reason = observed.ended.reason if observed.ended else ""
    if complete and reason != GATE_NOT_PASSED:
        return "Complete"
    return {"": "Incomplete", "Done": "Incomplete", "Stopped": "Stopped"}.get(reason, "Failed")


def _progress(event: "Progress | None") -> str:
    if event is None:
        return "starting"
    return f"{event.done}/{event.total} {event.unit}"
