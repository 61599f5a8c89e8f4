"""What the pods of a request's stages print, across stages and attempts, from before the first pod until the end."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith import children
from tunesmith.cluster.api import Api
from tunesmith.cluster.requests import ended, get, status_of
from tunesmith.errors import BadRequest, Gone, TryAgain
from tunesmith.status import Status

_POLL_SECONDS = 1.0
QUIET_SECONDS = 30.0  # without a line, then it is asked whether the pod still runs: a dead connection says nothing either
_DONE = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Said:
    """A line of a pod. `attempt`: of the controller; `pod`: its name."""

    stage: str
    attempt: str
    pod: str
    text: str


def pods(api: Api, namespace: str, uid: str, name: str, stages: Sequence[str]) -> list[Mapping[str, Any]]:
    """The pods of a request's stages, the oldest first. `uid`: of the request, as an earlier one may have had its name."""
    selector = f"{children.REQUEST}={name},{children.STAGE} in ({','.join(stages)})"
    found = api.get(f"/api/v1/namespaces/{namespace}/pods", [("labelSelector", selector)]).get("items") or []
    jobs = _jobs(api, namespace, uid, selector)
    mine = [pod for pod in found if any(owner["uid"] in jobs for owner in pod["metadata"].get("ownerReferences") or ())]
    return sorted(mine, key=lambda pod: (pod["metadata"]["creationTimestamp"], stages.index(_label(pod, children.STAGE))))


def lines(api: Api, namespace: str, pod: Mapping[str, Any], *, follow: bool) -> Iterator[Said]:
    """A pod's lines; with `follow` until its container ends, also over connections that break off."""
    name = pod["metadata"]["name"]
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    stage, attempt = _label(pod, children.STAGE), _label(pod, children.ATTEMPT)
    last = ""
    while True:
        again_from = last  # seen before the connection broke off
        query = [("container", children.CONTAINER), ("timestamps", "true"), *([("follow", "true")] if follow else [])]
        if last:
            query.append(("sinceTime", f"{last[:19]}Z"))
        for line in api.lines(f"{path}/log", query, seconds=QUIET_SECONDS):
            stamp, _, text = line.decode("utf-8", "replace").partition(" ")
            if stamp > again_from:
                last = stamp
                yield Said(stage, attempt, name, text)
        if not follow:
            return
        try:
            if _has_ended(api.get(path)):
                return
        except Gone:
            return
        time.sleep(_POLL_SECONDS)


def following(api: Api, namespace: str, name: str, stages: Sequence[str]) -> Iterator[Said]:
    """Lines of all pods of the stages as they come, until the request (or the only stage) is over and every pod was read."""
    uid = get(api, namespace, name)["metadata"]["uid"]
    read: set[str] = set()
    while True:
        over = _over(api, namespace, name, uid, stages)
        for pod in pods(api, namespace, uid, name, stages):
            if pod["metadata"]["uid"] not in read and _has_started(pod):
                try:
                    yield from lines(api, namespace, pod, follow=True)
                except (BadRequest, Gone):
                    pass  # its container is gone, or was never made
                except TryAgain:
                    continue
                read.add(pod["metadata"]["uid"])
        if over:
            return
        time.sleep(_POLL_SECONDS)


def _over(api: Api, namespace: str, name: str, uid: str, stages: Sequence[str]) -> bool:
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
    found = api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs", [("labelSelector", selector)]).get("items") or ()
    return {job["metadata"]["uid"] for job in found if any(owner["uid"] == uid for owner in job["metadata"].get("ownerReferences") or ())}


def _state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((one.get("state") or {} for one in statuses if one["name"] == children.CONTAINER), {})


def _has_started(pod: Mapping[str, Any]) -> bool:
    return bool({"running", "terminated"} & _state(pod).keys())


def _has_ended(pod: Mapping[str, Any]) -> bool:
    return "terminated" in _state(pod) or (pod.get("status") or {}).get("phase") in _DONE


def _label(pod: Mapping[str, Any], name: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(name, ""))
