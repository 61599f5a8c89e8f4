"""`events`: what has happened to a request on the cluster."""

from typing import TYPE_CHECKING, Any

import typer

from tunesmith.errors import ExitCode
from tunesmith.plain_text import one_line
from tunesmith_cli.commands.options import AsJson, AsOutput, Output
from tunesmith_cli.commands.target import RequestName, Target, on_cluster
from tunesmith_cli.commands.terminal import age_of, say, say_json, table, tell

if TYPE_CHECKING:
    from tunesmith_cli.cluster.api import Api


@on_cluster
def events(
    context: typer.Context,  # noqa: ARG001 - `target` is made from it
    name: RequestName,
    *,
    target: Target,
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Show what has happened to a request, its Jobs and its pods, as far as the cluster remembers (usually an
    hour).
    """
    namespace = target.namespace()
    rows = _events(target.api(), namespace, name)
    if as_json or output is Output.JSON:
        document = {"format": 1, "name": name, "namespace": namespace, "events": rows}
        say_json(document)
    elif not rows:
        tell(f"no events of {name}; `status` shows its state")
    else:
        say(table([("AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"), *map(_cells, rows)]))
    return ExitCode.DONE


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    message = one_line(row["message"])
    return (age_of(row["time"]), row["type"], row["reason"], row["object"], message)


def _events(api: "Api", namespace: str, name: str) -> list[dict[str, Any]]:
    """Events of the request and of the Jobs and pods in its status, the oldest first."""
    from tunesmith_cli.cluster.requests import get, status_of

    request = get(api, namespace, name)
    rows = status_of(request).stages
    selectors = [f"involvedObject.uid={request['metadata']['uid']}"]
    selectors += [f"involvedObject.kind=Job,involvedObject.name={row.job}" for row in rows if row.job]
    selectors += [f"involvedObject.kind=Pod,involvedObject.name={row.pod}" for row in rows if row.pod]
    path = f"/api/v1/namespaces/{namespace}/events"
    events = [
        _event(item)
        for selector in selectors
        for item in api.get(path, [("fieldSelector", selector)]).get("items") or ()
    ]
    return sorted(events, key=lambda event: event["time"])


def _event(item: dict[str, Any]) -> dict[str, Any]:
    series = item.get("series") or {}
    times = (
        item.get("lastTimestamp"),
        series.get("lastObservedTime"),
        item.get("eventTime"),
        item["metadata"]["creationTimestamp"],
    )
    involved = item["involvedObject"]
    return {
        "time": next(stamp for stamp in times if stamp),
        "type": item.get("type") or "Normal",
        "reason": item.get("reason") or "",
        "object": f"{involved['kind'].lower()}/{involved['name']}",
        "message": item.get("message") or "",
        "count": series.get("count") or item.get("count") or 1,
    }
