"""What the pods of a request's stages print, across stages and attempts, until the request has ended."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tunesmith import wire
from tunesmith.errors import BadRequest, Gone, TryAgain, TunesmithError
from tunesmith.status import Status
from tunesmith_cli.cluster.api import Api
from tunesmith_cli.cluster.requests import ended, get, status_of

POLL_SECONDS = 1.0
# After so long without a line it is checked whether the pod still runs: a dead connection is silent, too.
QUIET_SECONDS = 30.0
_DONE = ("Succeeded", "Failed")
_LAST_TRIES = 5  # to read a pod, when the request is over
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")

Moment = tuple[str, str]  # whole seconds of UTC, and the digits after them


@dataclass(frozen=True)
class PodLine:
    """A line that a pod printed.

    `attempt`: the controller's; `pod`: its name; `moment`: when, as far as the node says it.
    """

    stage: str
    attempt: str
    pod: str
    text: str
    moment: Moment = ("", "")


def pods(api: Api, namespace: str, uid: str, name: str, stages: Sequence[str]) -> list[Mapping[str, Any]]:
    """The pods of a request's stages, the oldest first.

    `uid`: the request's, as an earlier one may have had its name.
    """
    selector = f"{wire.REQUEST}={name},{wire.STAGE} in ({','.join(stages)})"
    labelled = api.get(f"/api/v1/namespaces/{namespace}/pods", [("labelSelector", selector)])
    jobs = _jobs(api, namespace, uid, selector)
    owned = [pod for pod in labelled.get("items") or () if not jobs.isdisjoint(_owners(pod))]
    return sorted(
        owned, key=lambda pod: (pod["metadata"]["creationTimestamp"], stages.index(_label(pod, wire.STAGE)))
    )


def lines(
    api: Api, namespace: str, pod: Mapping[str, Any], *, follow: bool, after: Moment = ("", "")
) -> Iterator[PodLine]:
    """A pod's lines after a moment; with `follow` until its container ends, even if connections break off."""
    name = pod["metadata"]["name"]
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    stage, attempt = _label(pod, wire.STAGE), _label(pod, wire.ATTEMPT)
    while True:
        again_from = after  # seen before the connection broke off
        query = [("container", wire.CONTAINER), ("timestamps", "true")]
        query += [("follow", "true")] if follow else []
        query += [("sinceTime", f"{after[0]}Z")] if after[0] else []
        for line in api.lines(f"{path}/log", query, seconds=QUIET_SECONDS):
            moment, text = stamped(line.decode("utf-8", "replace"))
            if moment is None:  # a message of the node, such as that the file is gone
                yield PodLine(stage, attempt, name, text, after)
            elif moment > again_from:
                after = moment
                yield PodLine(stage, attempt, name, text, moment)
        if not follow:
            return
        try:
            if _has_ended(api.get(path)):
                return
        except Gone:
            return
        time.sleep(POLL_SECONDS)


def stamped(line: str) -> tuple[Moment | None, str]:
    """When a line was written, and the line. A node stamps in its own time zone. Pure."""
    stamp, _, text = line.partition(" ")
    match = _STAMP.fullmatch(stamp)
    if match is None:
        return None, line
    seconds, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{seconds}{zone}").astimezone(UTC)
    return (f"{moment:%Y-%m-%dT%H:%M:%S}", (fraction or "").ljust(9, "0")), text


def following(
    api: Api, namespace: str, name: str, stages: Sequence[str], say: Callable[[str], None]
) -> Iterator[PodLine]:
    """Lines of all pods of the stages as they come, until the request (or the only stage) is over and every
    pod was read.

    `say` hears of pods that cannot be read.
    """
    uid = get(api, namespace, name)["metadata"]["uid"]
    read: set[str] = set()  # uids of pods
    latest: dict[str, Moment] = {}  # moment of the last line, by the pod's uid
    last_tries = _LAST_TRIES
    while True:
        over = _is_over(api, namespace, name, uid, stages)
        missed = ""
        try:
            for pod in pods(api, namespace, uid, name, stages):
                which = pod["metadata"]["uid"]
                if which in read or not _has_started(pod):
                    continue
                try:
                    for line in lines(api, namespace, pod, follow=True, after=latest.get(which, ("", ""))):
                        latest[which] = line.moment
                        yield line
                except (BadRequest, Gone):
                    pass  # its container is gone, or was never made
                except TryAgain as error:
                    missed = unreadable(pod, error)
                    continue
                read.add(which)
        except TryAgain as error:
            missed = error.message
        if over and (not missed or not last_tries):
            if missed:
                say(missed)
            return
        last_tries -= over
        time.sleep(POLL_SECONDS)


def stage_of(pod: Mapping[str, Any]) -> str:
    """The stage that a pod belongs to."""
    return _label(pod, wire.STAGE)


def unreadable(pod: Mapping[str, Any], error: TunesmithError) -> str:
    """A message that a pod's log could not be read, and why."""
    status = pod.get("status") or {}
    why = status.get("message") or status.get("reason") or error.message
    return f"pod {pod['metadata']['name']} ({stage_of(pod)}) has no log to read: {' '.join(str(why).split())}"


def _is_over(api: Api, namespace: str, name: str, uid: str, stages: Sequence[str]) -> bool:
    """Whether the request, or the only stage, has ended."""
    try:
        request = get(api, namespace, name)
    except Gone:
        return True
    except TryAgain:
        return False
    if request["metadata"]["uid"] != uid:
        return True
    status = status_of(request)
    return bool(ended(request, status)) or (len(stages) == 1 and _stage_is_over(request, status, stages[0]))


def _stage_is_over(request: Mapping[str, Any], status: Status, stage: str) -> bool:
    if status.observed_generation != request["metadata"].get("generation", 0):
        return False
    return any(row.name == stage and row.phase in _DONE for row in status.stages)


def _jobs(api: Api, namespace: str, uid: str, selector: str) -> set[str]:
    """Uids of the request's Jobs."""
    labelled = api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs", [("labelSelector", selector)])
    return {job["metadata"]["uid"] for job in labelled.get("items") or () if uid in _owners(job)}


def _owners(thing: Mapping[str, Any]) -> set[str]:
    """Uids of an object's owners."""
    return {owner["uid"] for owner in thing["metadata"].get("ownerReferences") or ()}


def _state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((entry.get("state") or {} for entry in statuses if entry["name"] == wire.CONTAINER), {})


def _has_started(pod: Mapping[str, Any]) -> bool:
    return bool({"running", "terminated"} & _state(pod).keys())


def _has_ended(pod: Mapping[str, Any]) -> bool:
    return "terminated" in _state(pod) or (pod.get("status") or {}).get("phase") in _DONE


def _label(pod: Mapping[str, Any], name: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(name, ""))
