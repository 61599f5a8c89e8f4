"""The readers of Kubernetes objects: what a request, its Jobs and its pods show.

Everything else asks these.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from tunesmith import wire
from tunesmith.children import run_name
from tunesmith.errors import ExitCode
from tunesmith.events import Result, result_in
from tunesmith.pruning import read_pruned
from tunesmith.stages import STAGES
from tunesmith.status import Status
from tunesmith_controller.decide.model import Object

UNREADABLE = "unreadable"  # member of an object: why, by path, a part of it cannot be read and is left out
_GIVES_UP = frozenset(code.value for code in ExitCode if code.final)


# Any object.


def name_of(item: Object) -> str:
    """Name of an object."""
    return str(item["metadata"]["name"])


def namespace_of(item: Object) -> str:
    """Namespace of an object."""
    return str(item["metadata"].get("namespace", "default"))


def uid_of(item: Object) -> str:
    """Uid of an object."""
    return str(item["metadata"]["uid"])


def created(item: Object) -> str:
    """When an object was created, as RFC 3339, which sorts by time. Empty if it does not say."""
    return str(item["metadata"].get("creationTimestamp") or "")


def label(item: Object, key: str) -> str:
    """A label; empty if the object lacks it."""
    return str((item["metadata"].get("labels") or {}).get(key, ""))


def annotation(item: Object, key: str) -> str:
    """An annotation; empty if the object lacks it."""
    return str((item["metadata"].get("annotations") or {}).get(key, ""))


def owner_uids(item: Object) -> list[str]:
    """The uids of an object's owners."""
    return [reference["uid"] for reference in item["metadata"].get("ownerReferences") or ()]


def unreadable(item: Object) -> Mapping[str, str]:
    """Why a part of the object could not be read, by path; empty if all of it was."""
    return item.get(UNREADABLE) or {}


def terminating(item: Object) -> bool:
    """Whether somebody has deleted the object, and it is not gone yet."""
    return "deletionTimestamp" in item["metadata"]


def status_of(item: Object) -> Mapping[str, Any]:
    """The status of an object; empty until somebody writes one."""
    return item.get("status") or {}


def condition(item: Object, kind: str, status: str = "True") -> Mapping[str, Any]:
    """The condition of this type, if it has this status; else empty."""
    conditions: Iterable[Mapping[str, Any]] = status_of(item).get("conditions") or ()
    for entry in conditions:
        if entry.get("type") == kind and entry.get("status") == status:
            return entry
    return {}


def rfc3339(moment: datetime) -> str:
    """A moment as Kubernetes writes it, in whole seconds of UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: str) -> datetime | None:
    """The moment in a timestamp; None if the text is not one."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


# Requests.


@dataclass(frozen=True)
class Identity:
    """Who a request is. `generation` rises with every edit of its spec."""

    name: str
    namespace: str
    uid: str
    generation: int
    deleted: bool


def identity(request: Object) -> Identity:
    """Who a request is."""
    return Identity(
        name=name_of(request),
        namespace=namespace_of(request),
        uid=uid_of(request),
        generation=request["metadata"].get("generation", 1),
        deleted=terminating(request),
    )


def is_current(request: Object) -> bool:
    """Whether the status is about the present generation."""
    return bool(status_of(request).get("observedGeneration") == request["metadata"].get("generation"))


def referenced(request: Object) -> list[tuple[str, str]]:
    """The requests that this one reads from, each with the stage whose result it takes over.

    The spec may be older than its schema, so nothing in it is trusted.
    """
    named: list[tuple[str, str]] = []
    for stage, kind in STAGES.items():
        part: object = request.get("spec") if kind.reference else None
        for field in (*kind.reference.split("."), "request"):
            part = part.get(field) if isinstance(part, Mapping) else None
        if isinstance(part, str) and part:
            named.append((part, stage))
    return named


def run_of(request: Object) -> str:
    """The run that a request works on."""
    return str((request.get("spec") or {}).get("run") or run_name(name_of(request), uid_of(request)))


def read_status(request: Object) -> Status:
    """The status as it was last written, without what only a newer controller knows.

    One that cannot be read is as good as none.
    """
    written = request.get("status")
    if not written:
        return Status()
    with contextlib.suppress(ValidationError):
        return read_pruned(Status, json.dumps(written), unknown_values=True)
    return Status()


def profile_of(request: Object) -> str:
    """The profile that a request names, or the built-in one."""
    return str((request.get("spec") or {}).get("profile") or "default")


# Jobs.


def stage_of(job: Object) -> str:
    """The stage that a Job runs."""
    return label(job, wire.STAGE)


def attempt_of(job: Object) -> int:
    """The attempt that a Job is; 0 if it does not say."""
    return _number(label(job, wire.ATTEMPT))


def generation_of(job: Object) -> int:
    """The generation of the request that a Job was made for; 0 if it does not say."""
    return _number(annotation(job, wire.GENERATION))


def asks_teacher(job: Object) -> bool:
    """Whether the stage of a Job sends requests to the teacher."""
    kind = STAGES.get(stage_of(job))
    return kind is not None and kind.asks_teacher


def complete(job: Object) -> bool:
    """Whether a Job has done its work. `succeeded: 1` is not enough: its pods may still be ending."""
    return bool(condition(job, "Complete"))


def failed(job: Object) -> bool:
    """Whether a Job has given up."""
    return bool(condition(job, "Failed"))


def failures(job: Object) -> int:
    """How many pods of a Job have failed and were counted."""
    return int(status_of(job).get("failed") or 0)


def unfinished(job: Object) -> bool:
    """Whether a Job may still have, or get, a pod that works."""
    return not complete(job) and not failed(job)


def pods_of(job: str, pods: Iterable[Object]) -> list[Object]:
    """The pods of a Job by its name, the oldest first."""
    return oldest_first(pod for pod in pods if job and _job_of(pod) == job)


# Pods.


def oldest_first(pods: Iterable[Object]) -> list[Object]:
    """Pods in the order in which they were created."""
    return sorted(pods, key=lambda pod: (created(pod), name_of(pod)))


def phase_of(pod: Object) -> str:
    """The phase of a pod."""
    return str(status_of(pod).get("phase", "Pending"))


def alive(pod: Object) -> bool:
    """Whether a pod has not ended. Its stage's container may have: others can keep the pod alive."""
    return phase_of(pod) not in ("Succeeded", "Failed")


def node_of(pod: Object) -> str:
    """The node that a pod is, or was, on; empty before it has one."""
    return str((pod.get("spec") or {}).get("nodeName") or "")


def container_of(pod: Object) -> Mapping[str, Any]:
    """The stage's container as the pod asks for it."""
    return _stage_container((pod.get("spec") or {}).get("containers"))


def waiting(pod: Object) -> Mapping[str, Any]:
    """Why the stage's container waits: `reason`, `message`. Empty if it does not."""
    return _state(pod).get("waiting") or {}


def running(pod: Object) -> bool:
    """Whether the stage's container is running."""
    return "running" in _state(pod)


def terminated(pod: Object) -> Mapping[str, Any]:
    """How the stage's container ended: `exitCode`, `reason`, `message`. Empty if it has not."""
    return _state(pod).get("terminated") or {}


def exit_code(pod: Object) -> int | None:
    """What the stage's container ended with; None if it has not."""
    code = terminated(pod).get("exitCode")
    return None if code is None else int(code)


def beside(pod: Object) -> list[str]:
    """The containers that keep a pod alive though the stage's has ended, by name.

    Whoever changes pods on their way (a service mesh, a log shipper) has added them. Restartable init
    containers are not among them, as Kubernetes ends those by itself.
    """
    if exit_code(pod) is None or not alive(pod):
        return []
    statuses: Iterable[Mapping[str, Any]] = status_of(pod).get("containerStatuses") or ()
    return [str(status["name"]) for status in statuses if "terminated" not in (status.get("state") or {})]


def ended(pod: Object) -> datetime | None:
    """When the stage's container of a pod ended; None if it has not."""
    return read_time(str(terminated(pod).get("finishedAt") or ""))


def result_of(pod: Object) -> Result | None:
    """The result in the stage's termination message or the end of its log; None if there is none."""
    return result_in(str(terminated(pod).get("message") or ""))


# The pods of one Job, the oldest first.


def started(pods: Sequence[Object]) -> datetime | None:
    """When the stage's container first started in these pods; None if it has not."""
    return min((start for start, _ in _runs(pods)), default=None)


def running_now(pods: Sequence[Object]) -> bool:
    """Whether the stage's container is running in one of these pods."""
    return any(end is None for _, end in _runs(pods))


def running_seconds(pods: Sequence[Object], now: datetime) -> float:
    """Seconds that the stage's container has run in these pods, all together; waiting is not counted."""
    return sum(max(0.0, ((end or now) - start).total_seconds()) for start, end in _runs(pods))


def succeeded(pods: Sequence[Object]) -> bool:
    """Whether the newest pod has done its work: the stage's container counts, whatever becomes of others."""
    return bool(pods) and (exit_code(pods[-1]) == 0 or phase_of(pods[-1]) == "Succeeded")


def fails_its_job(pods: Sequence[Object]) -> bool:
    """Whether the newest pod has ended with a code on which its Job gives up by itself in a moment."""
    return bool(pods) and exit_code(pods[-1]) in _GIVES_UP


def last_result(pods: Sequence[Object]) -> Result | None:
    """The result of the newest pod that reported one; None if none did."""
    results = (result_of(pod) for pod in reversed(pods))
    return next((result for result in results if result is not None), None)


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else 0


def _job_of(pod: Object) -> str:
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "Job":
            return str(owner["name"])
    return label(pod, "batch.kubernetes.io/job-name") or label(pod, "job-name")


def _state(pod: Object) -> Mapping[str, Any]:
    return _stage_container(status_of(pod).get("containerStatuses")).get("state") or {}


def _stage_container(containers: Iterable[Mapping[str, Any]] | None) -> Mapping[str, Any]:
    for container in containers or ():
        if container.get("name") == wire.CONTAINER:
            return container
    return {}


def _runs(pods: Iterable[Object]) -> Iterator[tuple[datetime, datetime | None]]:
    """When the stage's container started and ended, for each pod in which it did."""
    for pod in pods:
        state = _state(pod)
        entry = state.get("running") or state.get("terminated") or {}
        start = read_time(entry.get("startedAt") or "")
        if start is None:
            continue
        end = None if "running" in state else read_time(entry.get("finishedAt") or "") or start
        yield start, end
