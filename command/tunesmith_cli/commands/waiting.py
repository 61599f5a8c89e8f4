"""`wait` and `events`: how a request on the cluster ends, and what has happened to it."""

import json
import re
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import ExitCode, Gone, TryAgain, Usage
from tunesmith_cli.commands.options import AsJson, AsOutput, Output
from tunesmith_cli.commands.place import RequestName, Where, on_cluster
from tunesmith_cli.commands.terminal import printable, table

if TYPE_CHECKING:
    from tunesmith.status import Status
    from tunesmith_cli.cluster.api import Api

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?|(\d+)")


@on_cluster
def wait(
    context: typer.Context,  # noqa: ARG001 - `where` is made from it
    name: RequestName,
    *,
    where: Where,
    timeout: Annotated[
        str,
        typer.Option(metavar="TIME", help="Such as 90s, 30m or 2h. Built-in: no limit.", show_default=False),
    ] = "",
) -> int:
    """Wait for the end of a request: 0 when it is complete, 1 at once when it has failed, 75 when the time is over.

    An edit that the controller has not seen yet is waited for too.
    """
    from tunesmith_cli.cluster.requests import ended, follow, status_of

    limit = seconds_of(timeout)
    until = time.monotonic() + limit if limit is not None else None
    last = None
    suspended = False
    for request in follow(where.api(), where.here(), name, until):
        last, status = request, status_of(request)
        if end := ended(request, status):
            reason = f" ({status.reason})" if status.reason else ""
            print(f"{name} is {'complete' if end == 'Complete' else 'failed' + reason}")
            if end == "Failed" and status.message:
                print(printable(status.message), file=sys.stderr)
            return ExitCode.DONE if end == "Complete" else ExitCode.BUG
        if request["spec"].get("suspend") and not suspended:
            suspended = True
            print(f"{name} is suspended; waiting for `resume`", file=sys.stderr)
    if until is None or time.monotonic() < until:
        raise Gone(f"{name} was deleted", reason="Deleted")
    at = _at(status_of(last)) if last else ""
    raise TryAgain(
        f"{name} has not ended within {timeout}{at}",
        reason="TimedOut",
        remedy="wait again; `status -w` shows how it goes on",
    )


def _at(status: "Status") -> str:
    return f": {status.phase}{f', {status.stage} {status.progress} %' if status.stage else ''}"


def seconds_of(text: str) -> float | None:
    """Seconds of `90`, `90s`, `30m`, `1h30m`; None for an empty text. Raises Usage."""
    if not text:
        return None
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise Usage(f"--timeout {text}: not a time", remedy="such as 90s, 30m or 2h")
    hours, minutes, seconds, bare = (int(part or 0) for part in found.groups())
    return float(bare or hours * 3600 + minutes * 60 + seconds)


@on_cluster
def events(
    context: typer.Context,  # noqa: ARG001 - `where` is made from it
    name: RequestName,
    *,
    where: Where,
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Show what has happened to a request, its Jobs and its pods, as far as the cluster remembers (an hour, as a rule)."""
    from tunesmith_cli.commands.cluster_status import age_of

    found = _events(where.api(), where.here(), name)
    if as_json or output is Output.JSON:
        print(
            json.dumps(
                {"format": 1, "name": name, "namespace": where.here(), "events": found},
                indent=1,
                ensure_ascii=False,
            )
        )
    elif not found:
        print(f"no events of {name}; `status` shows how it stands", file=sys.stderr)
    else:
        rows = [
            (
                age_of(one["time"]),
                one["type"],
                one["reason"],
                one["object"],
                printable(" ".join(one["message"].split())),
            )
            for one in found
        ]
        print(table([("AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"), *rows]))
    return ExitCode.DONE


def _events(api: "Api", namespace: str, name: str) -> list[dict[str, Any]]:
    """Events of the request and of the Jobs and pods in its status, the oldest first."""
    from tunesmith_cli.cluster.requests import get, status_of

    request = get(api, namespace, name)
    status = status_of(request)
    selectors = [f"involvedObject.uid={request['metadata']['uid']}"]
    selectors += [
        f"involvedObject.kind=Job,involvedObject.name={row.job}" for row in status.stages if row.job
    ]
    selectors += [
        f"involvedObject.kind=Pod,involvedObject.name={row.pod}" for row in status.stages if row.pod
    ]
    path = f"/api/v1/namespaces/{namespace}/events"
    items = [
        item
        for selector in selectors
        for item in api.get(path, [("fieldSelector", selector)]).get("items") or ()
    ]
    return sorted((_event(item) for item in items), key=lambda one: one["time"])


def _event(item: dict[str, Any]) -> dict[str, Any]:
    series = item.get("series") or {}
    times = (
        item.get("lastTimestamp"),
        series.get("lastObservedTime"),
        item.get("eventTime"),
        item["metadata"]["creationTimestamp"],
    )
    seen = next(stamp for stamp in times if stamp)
    about = item["involvedObject"]
    return {
        "time": seen,
        "type": item.get("type") or "Normal",
        "reason": item.get("reason") or "",
        "object": f"{about['kind'].lower()}/{about['name']}",
        "message": item.get("message") or "",
        "count": series.get("count") or item.get("count") or 1,
    }
