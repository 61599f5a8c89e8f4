"""A status as it is applied to its request.

Pure.
"""

from collections.abc import Collection
from typing import Any

from tunesmith.status import Status
from tunesmith_controller.decide.model import Object


def applied(request: Object, status: Status, unknown: Collection[str] = ()) -> dict[str, Any]:
    """What is applied: the whole status, bound to the version of the request that the decision was made on.

    `unknown`: paths that the installed definition lacks; with one of them the API server refuses the whole.

    The version also protects a request that was created again under its name, as versions are never used
    twice. A uid would not: the API server ignores it in a status (tried with 1.36).
    """
    metadata = request["metadata"]
    return {
        "apiVersion": request["apiVersion"],
        "kind": request["kind"],
        "metadata": {name: metadata[name] for name in ("name", "namespace", "resourceVersion")},
        "status": _without(status_json(status), "status", unknown),
    }


def _without(value: Any, path: str, unknown: Collection[str]) -> Any:
    """A value without the fields at these paths (`status.stages[].eta`)."""
    if isinstance(value, list):
        return [_without(item, f"{path}[]", unknown) for item in value]
    if not unknown or not isinstance(value, dict):
        return value
    members = ((name, f"{path}.{name}", inner) for name, inner in value.items())
    return {name: _without(inner, here, unknown) for name, here, inner in members if here not in unknown}


def status_json(status: Status) -> dict[str, Any]:
    """A status as JSON, without empty texts and lists: they would be kept, and people would read them."""
    pruned: dict[str, Any] = without_empty(status.model_dump(mode="json", by_alias=True))
    if not status.queue_place:  # otherwise `kubectl get -o wide` shows place 0 for requests that do not wait
        del pruned["queuePlace"]
    for row in pruned.get("stages", ()):
        if not row["lost"]:  # nearly always
            del row["lost"]
    return pruned


def without_empty(value: Any) -> Any:
    """A JSON value without members and items that are empty."""
    if isinstance(value, dict):
        kept = {name: without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in (None, "", [], {})}
    return [without_empty(inner) for inner in value] if isinstance(value, list) else value
