"""TrainingRequests on a cluster: found by name, listed, followed."""

import difflib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunesmith.errors import TryAgain, TunesmithError
from tunesmith.pruning import read_pruned
from tunesmith.request import without_nulls
from tunesmith.status import Status
from tunesmith.wire import API_VERSION, GROUP, PLURAL
from tunesmith_cli.cluster.api import Api, Object, Query
from tunesmith_cli.cluster.faults import NotFound, OtherRelease

QUALIFIED = f"trainingrequest.{GROUP}"  # as `-o name` prints it
WATCH_SECONDS = 300.0
_ANSWER_SECONDS = 60.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0  # seconds between two watches


def collection(namespace: str) -> str:
    """Path of the requests of a namespace; of all namespaces if it is empty."""
    where = f"namespaces/{namespace}/" if namespace else ""
    return f"/apis/{API_VERSION}/{where}{PLURAL}"


def path_of(namespace: str, name: str) -> str:
    """Path of a request."""
    return f"{collection(namespace)}/{name}"


def get(api: Api, namespace: str, name: str) -> Object:
    """A request. Raises NotFound, with the name that was probably meant."""
    try:
        return api.get(path_of(namespace, name))
    except NotFound as error:
        raise NotFound(error.message, remedy=_suggestion(api, namespace, name)) from error


def names(api: Api, namespace: str, *, seconds: float = 10.0) -> list[str]:
    """Names of the requests of a namespace."""
    answer = api.get(collection(namespace), [("limit", "500")], table=True, seconds=seconds)
    return [row["object"]["metadata"]["name"] for row in answer.get("rows") or ()]


def follow(api: Api, namespace: str, name: str, until: float | None = None) -> Iterator[Object]:
    """The request now and at each change; ends when it is deleted, or at `until`, by the monotonic clock.

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
        pause = min(2 * pause, _LONGEST_PAUSE)
        if time.monotonic() - began > _LONGEST_PAUSE:
            pause = _SHORTEST_PAUSE
        time.sleep(max(0.0, min(pause, _left(until))))


def _at_most(seconds: float, until: float | None) -> float:
    return max(0.1, min(seconds, _left(until)))  # 0 would mean for ever


def _left(until: float | None) -> float:
    return WATCH_SECONDS if until is None else until - time.monotonic()


def status_of(request: Mapping[str, Any]) -> Status:
    """The status of a request, without the fields of a newer release. Raises OtherRelease.

    A request that the controller has not seen yet has a status, too.
    """
    try:
        return read_pruned(
            Status, json.dumps(without_nulls(request.get("status") or {})), unknown_values=True
        )
    except ValueError as error:
        raise OtherRelease(f"the status of {request['metadata']['name']}") from error


def users_of_run(requests: Sequence[Mapping[str, Any]], run: str, store: str, but: str) -> list[str]:
    """Names of the requests that have a run, or will take it up.

    `but`: the uid of the one that is left out. Pure.
    """
    users = []
    for request in requests:
        spec, status = request["spec"], request.get("status") or {}
        has_run = run in (spec.get("run"), status.get("run")) and status.get("store") in (None, "", store)
        if has_run and request["metadata"]["uid"] != but:
            users.append(request["metadata"]["name"])
    return sorted(users)


def condition(status: Status, kind: str) -> str:
    """The status of a condition: `True`, `False` or `Unknown`."""
    return next((entry.status for entry in status.conditions if entry.type == kind), "Unknown")


def ended(request: Mapping[str, Any], status: Status) -> str:
    """`Complete` or `Failed` once the present generation has ended so, else an empty string."""
    if status.observed_generation != request["metadata"].get("generation", 0):
        return ""
    return next((kind for kind in ("Complete", "Failed") if condition(status, kind) == "True"), "")


def _suggestion(api: Api, namespace: str, name: str) -> str:
    """What to do about a name that no request has; empty if the names cannot be listed."""
    try:
        known = names(api, namespace)
    except TunesmithError:
        return ""
    guess = difflib.get_close_matches(name, known, n=1)
    if guess:
        return f"did you mean {guess[0]!r}?"
    if not known:
        return f"namespace {namespace} has no requests; name another with -n"
    return f"there are {', '.join(sorted(known)[:10])}"
