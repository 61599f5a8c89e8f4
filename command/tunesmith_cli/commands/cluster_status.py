"""`status` on a cluster: the table that kubectl prints too, and one request with its stages (cluster_watch.py
follows both).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunesmith.errors import ExitCode
from tunesmith.plain_text import indented, one_line, printable
from tunesmith.stages import JUDGED, PARTS
from tunesmith.wire import GATE_NOT_PASSED
from tunesmith_cli.commands.options import Listing
from tunesmith_cli.commands.source_check import line as line_of_source
from tunesmith_cli.commands.target import Target
from tunesmith_cli.commands.terminal import duration, fitted, print_document, say, table, tell

if TYPE_CHECKING:
    from tunesmith.status import StageStatus, Status
    from tunesmith_cli.cluster.api import Api

FORMAT = 1
NONE = "<none>"
LEAST = {"REASON": 10, "NAME": 12, "NAMESPACE": 9}  # what may be cut for 80 columns, and to how much
_BAR = 20  # columns


def show(target: Target, name: str, form: Listing, *, exit_status: bool) -> int:
    """`status` there."""
    from tunesmith_cli.cluster.requests import QUALIFIED, get

    if not name:
        return _list(target, form)
    request = get(target.api(), target.namespace(), name)
    if form in (Listing.JSON, Listing.YAML):
        print_document(document(request), form)
    elif form is Listing.NAME:
        say(f"{QUALIFIED}/{name}")
    else:
        say(text(request, target, bars=False))
    return code(request) if exit_status else ExitCode.DONE


def show_with_source(
    target: Target, name: str, form: Listing, source: Mapping[str, Any] | None, *, exit_status: bool
) -> int:
    """`status NAME --check-sources` there. `source`: the own data that was checked, None for none."""
    from tunesmith_cli.cluster.requests import get

    if form is Listing.NAME:
        return show(target, name, form, exit_status=exit_status)
    request = get(target.api(), target.namespace(), name)
    if form in (Listing.JSON, Listing.YAML):
        print_document(document(request) | {"source": source}, form)
    else:
        say(f"{text(request, target, bars=False)}\n\n{line_of_source(source)}")
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
        "stages": [_stage_document(row) for row in status.stages],
        "places": _part_urls(status),
        "conditions": [
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": condition.message,
            }
            for condition in status.conditions
        ],
    }


def _stage_document(row: "StageStatus") -> dict[str, Any]:
    return {
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


def _part_urls(status: "Status") -> dict[str, str]:
    """URLs of dataset, adapter, model and report, of those that are there."""
    urls = {part: getattr(status.outputs, part) for part in PARTS}
    return {part: url for part, url in urls.items() if url}


def is_over(request: Mapping[str, Any]) -> bool:
    """Whether it has ended."""
    from tunesmith_cli.cluster.requests import ended, status_of

    return bool(ended(request, status_of(request)))


def code(request: Mapping[str, Any]) -> int:
    """The exit code that --exit-status asks for."""
    from tunesmith_cli.cluster.requests import ended, status_of

    return ExitCode.BUG if ended(request, status_of(request)) == "Failed" else ExitCode.DONE


def _list(target: Target, form: Listing) -> int:
    from tunesmith_cli.cluster.requests import QUALIFIED, collection

    api = target.api()
    namespace = "" if target.all_namespaces else target.namespace()
    if form in (Listing.JSON, Listing.YAML):
        items = api.get(collection(namespace)).get("items") or ()
        print_document(
            {"format": FORMAT, "namespace": namespace, "requests": [document(item) for item in items]}, form
        )
        return ExitCode.DONE
    head, *requests = rows(api, namespace, wide=form is Listing.WIDE)
    if form is Listing.NAME:
        names = [row[1] if target.all_namespaces else row[0] for row in requests]
        say("".join(f"{QUALIFIED}/{name}\n" for name in names), end="")
    elif not requests:
        tell(f"no requests in {f'namespace {namespace}' if namespace else 'any namespace'}")
    else:
        cells = [head, *requests]
        say(table(cells if form is Listing.WIDE else fitted(cells, LEAST)))
    return ExitCode.DONE


def rows(api: "Api", namespace: str, *, wide: bool) -> list[tuple[str, ...]]:
    """The table that the API server makes for `kubectl get treq`, its head first; of all namespaces,
    NAMESPACE is the first column.
    """
    from tunesmith_cli.cluster.requests import collection

    answer = api.get(collection(namespace), table=True)
    columns = answer["columnDefinitions"]
    chosen = [number for number, column in enumerate(columns) if wide or not column.get("priority")]
    head = ("NAMESPACE",) if not namespace else ()
    shown: list[tuple[str, ...]] = [(*head, *(columns[number]["name"].upper() for number in chosen))]
    for row in answer.get("rows") or ():
        first = (row["object"]["metadata"]["namespace"],) if not namespace else ()
        shown.append((*first, *(_cell(row["cells"][number]) for number in chosen)))
    return shown


def _cell(value: Any) -> str:
    return NONE if value in (None, "") else one_line(str(value))


def line(request: Mapping[str, Any]) -> str:
    """A request in a line, with everything whose change is worth another line."""
    from tunesmith_cli.cluster.requests import status_of

    status = status_of(request)
    loss = f", loss {status.loss}" if status.loss else ""
    running = status.stage and status.phase == "Running"
    stage = f" {status.stage} {status.progress} %{loss}" if running else ""
    place = f" (place {status.queue_place} in the queue)" if status.queue_place else ""
    reason = f" {status.reason}" if status.reason else ""
    message = f": {printable(status.message).strip().partition(chr(10))[0]}" if status.message else ""
    return one_line(f"{request['metadata']['name']} {status.phase}{stage}{place}{reason}{message}")


def text(request: Mapping[str, Any], target: Target, *, bars: bool) -> str:
    """A request with its stages, and what a person may want to type now."""
    from tunesmith_cli.cluster.requests import status_of

    metadata, spec, status = request["metadata"], request["spec"], status_of(request)
    base = one_line(spec["model"]["base"])
    lines = [
        f"request {metadata['name']} in {metadata['namespace']}: {status.phase}, base {base}",
        f"run     {one_line(status.run)} in {one_line(status.store)}" if status.run else "run     none yet",
    ]
    if status.queue_place:
        lines.append(f"queue   place {status.queue_place}")
    if status.stages:
        cells = [_stage_cells(row, bars=bars) for row in status.stages]
        lines += ["", table([("STAGE", "KEY", "PHASE", "ATTEMPT", "PROGRESS", "TIME"), *cells])]
    if status.message or status.reason:
        lines += ["", ": ".join(filter(None, (one_line(status.reason), indented(status.message))))]
    lines += _notes(status)
    lines += _part_lines(status)
    lines += ["", "Next:", *(f"  {command}" for command in _next(request, status, target))]
    if _gate_failed(request, status):
        lines.append(
            f"A retry would change nothing: edit the gate, data or training of {metadata['name']}, "
            "and apply it again."
        )
    return "\n".join(lines)


def _stage_cells(row: "StageStatus", *, bars: bool) -> tuple[str, ...]:
    progress = row.reason or NONE
    if row.phase in ("Running", "Succeeded"):
        percent = 100 if row.phase == "Succeeded" else row.progress
        bar = f"{'━' * (percent * _BAR // 100):<{_BAR}} " if bars else ""
        progress = f"{bar}{percent} %"
    if row.phase == "Running" and row.eta:
        progress += f", {duration(_seconds(_now(), row.eta))} left"
    attempt = str(row.attempt) if row.attempt else NONE
    time_taken = duration(_seconds(row.start_time, row.completion_time or _now())) if row.start_time else NONE
    return (row.name, row.key, row.phase, attempt, progress, time_taken)


def _notes(status: "Status") -> list[str]:
    """What the finished stages say about the own data of the run."""
    keys = {(row.name, row.key) for row in status.stages}
    notes = [
        f"{done.stage}: {indented(done.note)}"
        for done in status.finished
        if done.note and (done.stage, done.key) in keys
    ]
    return ["", *notes] if notes else []


def _part_lines(status: "Status") -> list[str]:
    lines = [f"{part:<8} {one_line(url)}" for part, url in _part_urls(status).items()]
    return ["", *lines] if lines else []


def _next(request: Mapping[str, Any], status: "Status", target: Target) -> Sequence[str]:
    """Commands that a person may want to type now."""
    from tunesmith_cli.cluster.requests import ended

    name, namespace = request["metadata"]["name"], request["metadata"]["namespace"]
    end = ended(request, status)
    commands: list[tuple[str, ...]]
    if request["spec"].get("suspend"):
        commands = [("resume", name)]
    elif end == "Complete":
        commands = [("infer", name, "a prompt of yours"), ("report", name), ("fetch", name, "--to", "DIR")]
    elif _gate_failed(request, status):
        commands = [("report", name), ("logs", name, "--stage", JUDGED)]
    elif end == "Failed":
        stage = ("--stage", status.stage) if status.stage else ()
        commands = [("logs", name, *stage), ("retry", name)]
    else:
        commands = [("logs", name, "-f"), ("events", name)]
    return [target.command(*words, namespace=namespace) for words in commands]


def _gate_failed(request: Mapping[str, Any], status: "Status") -> bool:
    from tunesmith_cli.cluster.requests import ended

    return ended(request, status) == "Failed" and status.reason == GATE_NOT_PASSED


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _seconds(start: str, end: str) -> float:
    """Seconds between two times of the API server (RFC 3339)."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
