"""`status`: the runs of a store, or one run with its stages; on a cluster its requests (cluster_status.py)."""

import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import ExitCode, Usage
from tunesmith_cli.commands.options import AsJson, AsListing, Listing, Store, names
from tunesmith_cli.commands.place import Where, either_everywhere
from tunesmith_cli.commands.running import open_runs, stored_run
from tunesmith_cli.commands.terminal import age, duration, fitted, print_document, printable, table

if TYPE_CHECKING:
    from tunesmith_cli.local.store import RunStore

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
    where: Where,
    watch: Annotated[
        bool,
        typer.Option("-w", "--watch", help="On the cluster: show each change; of one request to its end."),
    ] = False,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="On the cluster: end with 1 if the request has failed.")
    ] = False,
    store: Store = "",
    as_json: AsJson = False,
    output: AsListing = Listing.TEXT,
) -> int:
    """Show the runs of a store, or one run with its stages; on the cluster its requests."""
    form = Listing.JSON if as_json else output
    if where.cluster:
        from tunesmith_cli.commands import cluster_status, cluster_watch

        if exit_status and not name:
            raise Usage("--exit-status is that of one request", remedy="give its NAME")
        if name and where.everywhere:
            raise Usage(
                "-A lists the requests of all namespaces, and a NAME is of one",
                remedy="leave out -A, and name the namespace by -n",
            )
        show = cluster_watch.show if watch else cluster_status.show
        return show(where, name, form, exit_status=exit_status)
    if watch or exit_status:
        raise Usage(
            "-w and --exit-status follow a request on a cluster",
            remedy=f"on this machine: `tunesmith logs {name or 'NAME'} -f`",
        )
    runs = open_runs(context, store)
    if name:
        return _status_of(runs, name, form)
    rows = [_row(runs, entry) for entry in runs.runs()]
    if form in (Listing.JSON, Listing.YAML):
        print_document({"format": 1, "store": runs.url, "runs": rows}, form)
    elif form is Listing.NAME:
        print("".join(f"{row['run']}\n" for row in rows), end="")
    elif not rows:
        print(f"no runs in {runs.url}", file=sys.stderr)
    else:
        cells = [("NAME", "PHASE", "STAGE", "PROGRESS", "MODEL", "AGE"), *(_cells(row) for row in rows)]
        print(table(cells if form is Listing.WIDE else fitted(cells, _LEAST)))
    return ExitCode.DONE


def _row(runs: "RunStore", entry: dict[str, Any]) -> dict[str, Any]:
    """A run of the store's list, with what this machine knows about it."""
    from tunesmith_cli.local.observe import observe
    from tunesmith_cli.local.places import run_place

    created = datetime.fromisoformat(entry["created"]).replace(tzinfo=UTC)
    row = {name: entry[name] for name in ("run", "phase", "stage", "progress", "model")} | {
        "created": created.isoformat()
    }
    seen = observe(run_place(runs.url, entry["run"], os.environ))
    if seen.running:
        return row | {
            "phase": "Running",
            "stage": seen.stage or row["stage"],
            "progress": _progress(seen.progress),
        }
    failed = seen.ended.reason if seen.ended and not seen.ended.well else ""
    if failed == "GateNotPassed" or (failed and row["phase"] != "Complete"):
        return row | {"phase": "Stopped" if failed == "Stopped" else "Failed"}
    return row


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    seconds = time.time() - datetime.fromisoformat(row["created"]).timestamp()
    model = printable(row["model"].rstrip("/").rpartition("/")[2]) or "<unknown>"
    return (row["run"], row["phase"], row["stage"] or "<none>", row["progress"], model, age(seconds))


def _status_of(runs: "RunStore", name: str, form: Listing) -> int:
    from tunesmith import gate
    from tunesmith_cli.commands.summary import end_json, figures, places, run_json, shown
    from tunesmith_cli.local.observe import observe
    from tunesmith_cli.local.places import run_place

    snapshot = stored_run(runs, name)
    done = runs.manifests(snapshot)
    seen = observe(run_place(runs.url, name, os.environ))
    verdict = gate.verdict(snapshot.spec, done)
    reason = "GateNotPassed" if verdict and not verdict.passed else seen.ended.reason if seen.ended else ""
    phase = _phase(complete=len(done) == len(snapshot.stages), running=seen.running, reason=reason)
    if form is Listing.NAME:
        print(name)
        return ExitCode.DONE
    if form in (Listing.JSON, Listing.YAML):
        document = run_json(runs, snapshot, done)
        document["phase"] = phase
        document["progress"] = (
            seen.progress.model_dump(mode="json", by_alias=True, exclude={"event"})
            if seen.running and seen.progress
            else None
        )
        document["end"] = end_json(seen.ended) if seen.ended else None
        print_document(document, form)
        return ExitCode.DONE
    print(f"run {name} in {shown(runs.url)}: {phase}, base {printable(snapshot.spec.model.base)}\n")
    rows = [("STAGE", "KEY", "PHASE", "TIME")]
    for entry in snapshot.stages:
        if entry.name in done:
            rows.append((entry.name, entry.key, "Done", duration(done[entry.name].seconds)))
        elif seen.stage == entry.name and (seen.running or not seen.ended or not seen.ended.well):
            rows.append((entry.name, entry.key, phase, _progress(seen.progress) if seen.running else ""))
        else:
            rows.append((entry.name, entry.key, "Waiting", ""))
    print(table(rows))
    if verdict:
        print(f"\n{verdict}")
    elif seen.ended and not seen.ended.well and len(done) < len(snapshot.stages):
        print(
            f"\n{seen.ended.reason}: {printable(seen.ended.message)}\nWhat to do: {printable(seen.ended.remedy)}"
        )
    if "evaluate" in done:
        print(f"\n{figures(done['evaluate'].metrics)}")
    print()
    for part, place in places(runs, done).items():
        print(f"  {part:<8} {shown(place)}")
    return ExitCode.DONE


def _phase(*, complete: bool, running: bool, reason: str) -> str:
    if running:
        return "Running"
    if complete and reason != "GateNotPassed":
        return "Complete"
    return {"": "Incomplete", "Done": "Incomplete", "Stopped": "Stopped"}.get(reason, "Failed")


def _progress(event: Any) -> str:
    if event is None:
        return "starting"
    return f"{event.done}/{event.total} {event.unit}"
