"""TrainingRequests on a cluster: found by name, listed, followed."""

import difflib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunesmith.errors import Gone, TryAgain, TunesmithError
from tunesmith.status import Status
from tunesmith.wire import API_VERSION, GROUP, PLURAL
from tunesmith_cli.cluster.api import Api, Object, Query, absent

QUALIFIED = f"trainingrequest.{GROUP}"  # as `-o name` says it
WATCH_SECONDS = 300.0
_ANSWER_SECONDS = 60.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0  # seconds between two watches


def collection(namespace: str) -> str:
    """Path of the requests of a namespace; of all namespaces if it is empty."""
    return (
        f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}"
        if namespace
        else f"/apis/{API_VERSION}/{PLURAL}"
    )


def path_of(namespace: str, name: str) -> str:
    """Path of a request."""
    return f"{collection(namespace)}/{name}"


def get(api: Api, namespace: str, name: str) -> Object:
    """A request. Raises Gone, with what was meant perhaps."""
    try:
        return api.get(path_of(namespace, name))
    except Gone as error:
        if not absent(error):
            raise
        raise Gone(error.message, reason="NotFound", remedy=_meant(api, namespace, name)) from error


def names(api: Api, namespace: str, *, seconds: float = 10.0) -> list[str]:
    """Names of the requests of a namespace."""
    accept_only_names = api.get(collection(namespace), [("limit", "500")], table=True, seconds=seconds)
    return [row["object"]["metadata"]["name"] for row in accept_only_names.get("rows") or ()]


def follow(api: Api, namespace: str, name: str, until: float | None = None) -> Iterator[Object]:
    """The request now and at each change; ends when it is deleted, or at `until` (a moment of the monotonic clock).

    A server that is away for a while is waited for.
    """
    query: Query = [("fieldSelector", f"metadata.name={name}")]
    request = get(api, namespace, name)
    yield request
    uid, seen = request["metadata"]["uid"], request["metadata"]["resourceVersion"]
    pause = _SHORTEST_PAUSE
    while _left(until) > 0:
        began = time.monotonic()
        try:
            listed = api.get(collection(namespace), query, seconds=_at_most(_ANSWER_SECONDS, until))
            items = [item for item in listed.get("items") or () if item["metadata"]["uid"] == uid]
            if not items:
                return
            if items[0]["metadata"]["resourceVersion"] != seen:
                seen = items[0]["metadata"]["resourceVersion"]
                yield items[0]
            for event in api.watch(
                collection(namespace),
                query,
                listed["metadata"]["resourceVersion"],
                _at_most(WATCH_SECONDS, until),
            ):
                if event["type"] == "ERROR" or _left(until) <= 0:
                    break  # too old a resourceVersion, most often: listed anew
                if event["type"] == "BOOKMARK" or event["object"]["metadata"]["uid"] != uid:
                    continue
                if event["type"] == "DELETED":
                    return
                seen = event["object"]["metadata"]["resourceVersion"]
                yield event["object"]
        except TryAgain:
            pass
        # A server that is away, or ends every watch at once, is asked less and less often.
        pause = (
            _SHORTEST_PAUSE if time.monotonic() - began > _LONGEST_PAUSE else min(2 * pause, _LONGEST_PAUSE)
        )
        time.sleep(max(0.0, min(pause, _left(until))))


def _at_most(seconds: float, until: float | None) -> float:
    return max(0.1, min(seconds, _left(until)))  # 0 would mean for ever


def _left(until: float | None) -> float:
    return WATCH_SECONDS if until is None else until - time.monotonic()


def status_of(request: Mapping[str, Any]) -> Status:
    """The status of a request; one that is not seen yet has one too. Fields of a newer release are left out."""
    try:
        return Status.model_validate_json(json.dumps(_pruned(Status, request.get("status") or {})))
    except ValueError as error:
        raise TunesmithError(
            f"the status of {request['metadata']['name']} is none that this release can read",
            reason="OtherRelease",
            remedy="use the `tunesmith` of the controller's release; `tunesmith version` shows this one's",
        ) from error


def _pruned(model: Any, value: Any) -> Any:
    """Only what the model knows, so that a newer controller's status can be read."""
    from tunesmith.field_docs import models_in

    if isinstance(value, list):
        return [_pruned(model, item) for item in value]
    if not isinstance(value, Mapping):
        return value
    found = {}
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if alias in value and value[alias] is not None:
            inner = next(models_in(field.annotation), None)
            found[alias] = _pruned(inner, value[alias]) if inner else value[alias]
    return found


def users_of_run(requests: Sequence[Mapping[str, Any]], run: str, store: str, but: str) -> list[str]:
    """Names of the requests that have a run, or will take it up; `but`: without the one of this uid. Pure."""
    found = []
    for one in requests:
        spec, status = one["spec"], one.get("status") or {}
        if (
            one["metadata"]["uid"] != but
            and run in (spec.get("run"), status.get("run"))
            and status.get("store") in (None, "", store)
        ):
            found.append(one["metadata"]["name"])
    return sorted(found)


def condition(status: Status, kind: str) -> str:
    """`True`, `False` or `Unknown`."""
    return next((one.status for one in status.conditions if one.type == kind), "Unknown")


def ended(request: Mapping[str, Any], status: Status) -> str:
    """`Complete` or `Failed` once the present generation has ended so, else an empty string."""
    if status.observed_generation != request["metadata"].get("generation", 0):
        return ""
    return next((kind for kind in ("Complete", "Failed") if condition(status, kind) == "True"), "")


def _meant(api: Api, namespace: str, name: str) -> str:
    try:
        known = names(api, namespace)
    except TunesmithError:
        return ""
    guess = difflib.get_close_matches(name, known, n=1)
    if guess:
        return f"did you mean {guess[0]!r}?"
    return (
        f"there are {', '.join(sorted(known)[:10])}"
        if known
        else f"namespace {namespace} has no requests; name another by -n"
    )
