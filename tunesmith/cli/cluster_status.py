"""`status` on a cluster: the table that kubectl prints too, one request with its stages, and both followed."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunesmith.cli.options import Listing
from tunesmith.cli.place import Where
from tunesmith.cli.terminal import age, duration, fancy, print_document, printable, table
from tunesmith.errors import ExitCode, Gone, Usage

if TYPE_CHECKING:
    from tunesmith.cluster.api import Api
    from tunesmith.status import StageStatus, Status

FORMAT = 1
NONE = "<none>"
_LIST_SECONDS = 2.0  # between two looks at a list
_BAR = 20  # columns


def show(where: Where, name: str, form: Listing, *, watch: bool, exit_status: bool) -> int:
    """`status` there."""
    from tunesmith.cluster.requests import QUALIFIED, get

    if watch and form in (Listing.JSON, Listing.YAML):
        return _watch_documents(where, name)
    if not name:
        return _watch_list(where, form) if watch else _list(where, form)
    if watch:
        return watch_one(where, where.here(), name, exit_status=exit_status)
    request = get(where.api(), where.here(), name)
    if form in (Listing.JSON, Listing.YAML):
        print_document(document(request), form)
    elif form is Listing.NAME:
        print(f"{QUALIFIED}/{name}")
    else:
        print(_text(request, where, bars=False))
    return _code(request) if exit_status else ExitCode.DONE


def document(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request and its status for scripts. `format` rises when a member is renamed or dropped."""
    from tunesmith.cluster.requests import ended, status_of

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
        "conditions": [{"type": one.type, "status": one.status, "reason": one.reason, "message": one.message} for one in status.conditions],
    }


def watch_one(where: Where, namespace: str, name: str, *, exit_status: bool) -> int:
    """Follow a request to its end: redrawn on a terminal, else a line per change."""
    from tunesmith.cluster.requests import follow

    last: Mapping[str, Any] | None = None
    if fancy(sys.stdout):
        last = _redrawn(follow(where.api(), namespace, name), where)
    else:
        said = ""
        for request in follow(where.api(), namespace, name):
            line = _line(request)
            if line != said:
                said = line
                print(f"{datetime.now().astimezone():%H:%M:%S} {line}", flush=True)
            last = request
            if _is_over(request):
                break
    if last is None or not _is_over(last):
        raise Gone(f"{name} was deleted", reason="Deleted")
    return _code(last) if exit_status else ExitCode.DONE


def _redrawn(requests: Iterator[Mapping[str, Any]], where: Where) -> Mapping[str, Any] | None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    last = None
    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        for request in requests:
            last = request
            live.update(Text(_text(request, where, bars=True)), refresh=True)
            if _is_over(request):
                break
    return last


def _is_over(request: Mapping[str, Any]) -> bool:
    from tunesmith.cluster.requests import ended, status_of

    return bool(ended(request, status_of(request)))


def _code(request: Mapping[str, Any]) -> int:
    from tunesmith.cluster.requests import ended, status_of

    return ExitCode.BUG if ended(request, status_of(request)) == "Failed" else ExitCode.DONE


def _list(where: Where, form: Listing) -> int:
    from tunesmith.cluster.requests import QUALIFIED, collection

    api = where.api()
    namespace = "" if where.everywhere else where.here()
    if form in (Listing.JSON, Listing.YAML):
        items = api.get(collection(namespace)).get("items") or ()
        print_document({"format": FORMAT, "namespace": namespace, "requests": [document(item) for item in items]}, form)
        return ExitCode.DONE
    rows = _rows(api, namespace, wide=form is Listing.WIDE)
    if form is Listing.NAME:
        names = [row[1] if where.everywhere else row[0] for row in rows[1:]]
        print("".join(f"{QUALIFIED}/{name}\n" for name in names), end="")
    elif len(rows) == 1:
        print(f"no requests in {f'namespace {namespace}' if namespace else 'any namespace'}", file=sys.stderr)
    else:
        print(table(rows))
    return ExitCode.DONE


def _rows(api: "Api", namespace: str, *, wide: bool) -> list[tuple[str, ...]]:
    """The table as the API server makes it for `kubectl get treq`; NAMESPACE first where it is of all of them."""
    from tunesmith.cluster.requests import collection

    found = api.get(collection(namespace), table=True)
    columns = found["columnDefinitions"]
    chosen = [number for number, column in enumerate(columns) if wide or not column.get("priority")]
    head = ("NAMESPACE",) if not namespace else ()
    rows: list[tuple[str, ...]] = [(*head, *(columns[number]["name"].upper() for number in chosen))]
    for row in found.get("rows") or ():
        first = (row["object"]["metadata"]["namespace"],) if not namespace else ()
        rows.append((*first, *(_cell(row["cells"][number]) for number in chosen)))
    return rows


def _cell(value: Any) -> str:
    return NONE if value in (None, "") else printable(" ".join(str(value).split()))


def _watch_list(where: Where, form: Listing) -> int:
    api = where.api()
    namespace = "" if where.everywhere else where.here()
    if fancy(sys.stdout):
        _redraw_list(api, namespace, wide=form is Listing.WIDE)
    said: dict[tuple[str, ...], tuple[str, ...]] = {}
    key = 2 if where.everywhere else 1
    while True:
        rows = _rows(api, namespace, wide=form is Listing.WIDE)
        age_column = rows[0].index("AGE")
        for row in rows:
            state = (*row[:age_column], *row[age_column + 1 :])  # that time passes is no change
            if said.get(row[:key]) != state:
                said[row[:key]] = state
                print("   ".join(row), flush=True)
        time.sleep(_LIST_SECONDS)


def _redraw_list(api: "Api", namespace: str, *, wide: bool) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(Text(table(_rows(api, namespace, wide=wide)), no_wrap=True), refresh=True)
            time.sleep(_LIST_SECONDS)


def _watch_documents(where: Where, name: str) -> int:
    """One JSON document per line for each change of a request, to its end."""
    from tunesmith.cluster.requests import follow

    if not name:
        raise Usage("-w with -o json follows one request", remedy="give its NAME")
    for request in follow(where.api(), where.here(), name):
        print(json.dumps(document(request), ensure_ascii=False), flush=True)
        if _is_over(request):
            break
    return ExitCode.DONE


def _line(request: Mapping[str, Any]) -> str:
    """A request in a line: what has changed shows."""
    from tunesmith.cluster.requests import status_of

    status = status_of(request)
    loss = f", loss {status.loss}" if status.loss else ""
    at_work = f" {status.stage} {status.progress} %{loss}" if status.stage and status.phase == "Running" else ""
    place = f" (place {status.queue_place} in the queue)" if status.queue_place else ""
    reason = f" {status.reason}" if status.reason else ""
    message = f": {printable(status.message).splitlines()[0]}" if status.message else ""
    return f"{request['metadata']['name']} {status.phase}{at_work}{place}{reason}{message}"


def _text(request: Mapping[str, Any], where: Where, *, bars: bool) -> str:
    from tunesmith.cluster.requests import status_of

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
            f"{status.reason}: {printable(status.message)}" if status.reason and status.message else status.reason or status.message,
        ]
    lines += _places(status)
    lines += ["", "Next:", *(f"  {command}" for command in _next(request, status, where))]
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
    return ["", *(f"{part:<8} {place}" for part, place in found.items() if place)] if any(found.values()) else []


def _next(request: Mapping[str, Any], status: "Status", where: Where) -> Sequence[str]:
    from tunesmith.cluster.requests import ended

    name, namespace = request["metadata"]["name"], request["metadata"]["namespace"]
    if request["spec"].get("suspend"):
        words: list[tuple[str, ...]] = [("resume", name)]
    elif ended(request, status) == "Complete":
        words = [("infer", name, "a prompt of yours"), ("report", name), ("fetch", name, "--to", "DIR")]
    elif ended(request, status) == "Failed":
        words = [("logs", name, *(["--stage", status.stage] if status.stage else [])), ("retry", name)]
    else:
        words = [("logs", name, "-f"), ("events", name)]
    return [where.command(*one, namespace=namespace) for one in words]


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
