"""`status` on a cluster: the table that kubectl prints too, and one request with its stages. cluster_watch.py follows both."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunesmith.errors import ExitCode
from tunesmith_cli.commands.options import Listing
from tunesmith_cli.commands.place import Where
from tunesmith_cli.commands.terminal import age, duration, fitted, print_document, printable, table

if TYPE_CHECKING:
    from tunesmith.status import StageStatus, Status
    from tunesmith_cli.cluster.api import Api

FORMAT = 1
NONE = "<none>"
LEAST = {
    "REASON": 10,
    "NAME": 12,
    "NAMESPACE": 9,
}  # what may be cut for 80 columns, in this order, and to how much
_BAR = 20  # columns


def show(where: Where, name: str, form: Listing, *, exit_status: bool) -> int:
    """`status` there."""
    from tunesmith_cli.cluster.requests import QUALIFIED, get

    if not name:
        return _list(where, form)
    request = get(where.api(), where.here(), name)
    if form in (Listing.JSON, Listing.YAML):
        print_document(document(request), form)
    elif form is Listing.NAME:
        print(f"{QUALIFIED}/{name}")
    else:
        print(text(request, where, bars=False))
    return code(request) if exit_status else ExitCode.DONE


def document(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request and its status for scripts. `format` rises when a member is renamed or dropped."""
    from tunesmith_cli.cluster.requests import ended, status_of

    metadata, spec, status = request["metadata"], request["spec"], status_of(request)
    return {
        "format": FORMAT,
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "generation": metadata.get("generation", 0),
        "observedGeneration": status.observed_generation,
        "created": metadata["creationTimestamp"],
        "profile": spec.get("profile", "default"),
        "base": spec["model"]["base"],
        "suspended": bool(spec.get("suspend")),
        "phase": status.phase,
        "ended": ended(request, status),
        "stage": status.stage,
        "progress": status.progress,
        "eta": status.eta,
        "queuePlace": status.queue_place,
        "reason": status.reason,
        "message": status.message,
        "run": status.run,
        "store": status.store,
        "startTime": status.start_time,
        "completionTime": status.completion_time,
        "stages": [
            {
                "name": row.name,
                "key": row.key,
                "phase": row.phase,
                "job": row.job,
                "attempt": row.attempt,
                "pod": row.pod,
                "startTime": row.start_time,
                "completionTime": row.completion_time,
                "progress": row.progress,
                "eta": row.eta,
                "metrics": row.metrics,
                "reason": row.reason,
                "message": row.message,
            }
            for row in status.stages
        ],
        "places": {
            part: place
            for part, place in (
                ("dataset", status.outputs.dataset),
                ("adapter", status.outputs.adapter),
                ("model", status.outputs.model),
                ("report", status.outputs.report),
            )
            if place
        },
        "conditions": [
            {"type": one.type, "status": one.status, "reason": one.reason, "message": one.message}
            for one in status.conditions
        ],
    }


def is_over(request: Mapping[str, Any]) -> bool:
    """Whether it has ended."""
    from tunesmith_cli.cluster.requests import ended, status_of

    return bool(ended(request, status_of(request)))


def code(request: Mapping[str, Any]) -> int:
    """The exit code that --exit-status asks for."""
    from tunesmith_cli.cluster.requests import ended, status_of

    return ExitCode.BUG if ended(request, status_of(request)) == "Failed" else ExitCode.DONE


def _list(where: Where, form: Listing) -> int:
    from tunesmith_cli.cluster.requests import QUALIFIED, collection

    api = where.api()
    namespace = "" if where.everywhere else where.here()
    if form in (Listing.JSON, Listing.YAML):
        items = api.get(collection(namespace)).get("items") or ()
        print_document(
            {"format": FORMAT, "namespace": namespace, "requests": [document(item) for item in items]}, form
        )
        return ExitCode.DONE
    found = rows(api, namespace, wide=form is Listing.WIDE)
    if form is Listing.NAME:
        names = [row[1] if where.everywhere else row[0] for row in found[1:]]
        print("".join(f"{QUALIFIED}/{name}\n" for name in names), end="")
    elif len(found) == 1:
        print(f"no requests in {f'namespace {namespace}' if namespace else 'any namespace'}", file=sys.stderr)
    else:
        print(table(found if form is Listing.WIDE else fitted(found, LEAST)))
    return ExitCode.DONE


def rows(api: "Api", namespace: str, *, wide: bool) -> list[tuple[str, ...]]:
    """The table as the API server makes it for `kubectl get treq`; NAMESPACE first where it is of all of them."""
    from tunesmith_cli.cluster.requests import collection

    found = api.get(collection(namespace), table=True)
    columns = found["columnDefinitions"]
    chosen = [number for number, column in enumerate(columns) if wide or not column.get("priority")]
    head = ("NAMESPACE",) if not namespace else ()
    shown: list[tuple[str, ...]] = [(*head, *(columns[number]["name"].upper() for number in chosen))]
    for row in found.get("rows") or ():
        first = (row["object"]["metadata"]["namespace"],) if not namespace else ()
        shown.append((*first, *(_cell(row["cells"][number]) for number in chosen)))
    return shown


def _cell(value: Any) -> str:
    return NONE if value in (None, "") else printable(" ".join(str(value).split()))


def line(request: Mapping[str, Any]) -> str:
    """A request in a line: what has changed shows."""
    from tunesmith_cli.cluster.requests import status_of

    status = status_of(request)
    loss = f", loss {status.loss}" if status.loss else ""
    at_work = (
        f" {status.stage} {status.progress} %{loss}" if status.stage and status.phase == "Running" else ""
    )
    place = f" (place {status.queue_place} in the queue)" if status.queue_place else ""
    reason = f" {status.reason}" if status.reason else ""
    message = f": {printable(status.message).splitlines()[0]}" if status.message else ""
    return f"{request['metadata']['name']} {status.phase}{at_work}{place}{reason}{message}"


def text(request: Mapping[str, Any], where: Where, *, bars: bool) -> str:
    """A request with its stages, and what a person may want to type now."""
    from tunesmith_cli.cluster.requests import status_of

    metadata, spec, status = request["metadata"], request["spec"], status_of(request)
    lines = [
        f"request {metadata['name']} in {metadata['namespace']}: {status.phase}, base {printable(spec['model']['base'])}",
        f"run     {status.run} in {status.store}" if status.run else "run     none yet",
    ]
    if status.queue_place:
        lines.append(f"queue   place {status.queue_place}")
    if status.stages:
        cells = [_stage_cells(row, bars=bars) for row in status.stages]
        lines += ["", table([("STAGE", "KEY", "PHASE", "ATTEMPT", "PROGRESS", "TIME"), *cells])]
    if status.message or status.reason:
        lines += [
            "",
            f"{status.reason}: {printable(status.message)}"
            if status.reason and status.message
            else status.reason or status.message,
        ]
    lines += _places(status)
    lines += ["", "Next:", *(f"  {command}" for command in _next(request, status, where))]
    if _gate_failed(request, status):
        lines.append(
            f"A retry would change nothing: edit the gate, data or training of {metadata['name']} and apply it again."
        )
    return "\n".join(lines)


def _stage_cells(row: "StageStatus", *, bars: bool) -> tuple[str, ...]:
    shown = {"Succeeded": 100}.get(row.phase, row.progress)
    bar = f"{'━' * (shown * _BAR // 100):<{_BAR}} " if bars and row.phase in ("Running", "Succeeded") else ""
    progress = f"{bar}{shown} %" if row.phase in ("Running", "Succeeded") else row.reason or NONE
    if row.phase == "Running" and row.eta:
        progress += f", {duration(_seconds(_now(), row.eta))} left"
    time_taken = duration(_seconds(row.start_time, row.completion_time or _now())) if row.start_time else NONE
    return (row.name, row.key, row.phase, str(row.attempt) if row.attempt else NONE, progress, time_taken)


def _places(status: "Status") -> list[str]:
    found = status.outputs.model_dump()
    return (
        ["", *(f"{part:<8} {place}" for part, place in found.items() if place)] if any(found.values()) else []
    )


def _next(request: Mapping[str, Any], status: "Status", where: Where) -> Sequence[str]:
    from tunesmith_cli.cluster.requests import ended

    name, namespace = request["metadata"]["name"], request["metadata"]["namespace"]
    if request["spec"].get("suspend"):
        words: list[tuple[str, ...]] = [("resume", name)]
    elif ended(request, status) == "Complete":
        words = [("infer", name, "a prompt of yours"), ("report", name), ("fetch", name, "--to", "DIR")]
    elif _gate_failed(request, status):
        words = [("report", name), ("logs", name, "--stage", "evaluate")]
    elif ended(request, status) == "Failed":
        words = [("logs", name, *(["--stage", status.stage] if status.stage else [])), ("retry", name)]
    else:
        words = [("logs", name, "-f"), ("events", name)]
    return [where.command(*one, namespace=namespace) for one in words]


def _gate_failed(request: Mapping[str, Any], status: "Status") -> bool:
    from tunesmith_cli.cluster.requests import ended

    return ended(request, status) == "Failed" and status.reason == "GateNotPassed"


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _seconds(start: str, end: str) -> float:
    return (parsed(end) - parsed(start)).total_seconds()


def parsed(stamp: str) -> datetime:
    """A time of the API server (RFC 3339)."""
    return datetime.fromisoformat(stamp)


def age_of(stamp: str | None) -> str:
    """As kubectl's AGE, of a time of the API server."""
    return age(_seconds(stamp, _now())) if stamp else "<unknown>"
