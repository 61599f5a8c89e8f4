"""What a request, its Jobs and its pods show. Pure readers of Kubernetes objects; everything else in this package asks these."""

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from tunesmith import wire
from tunesmith.errors import ExitCode
from tunesmith.events import Result, parse
from tunesmith.pruning import read_pruned
from tunesmith.status import Status
from tunesmith.wire import GENERATION
from tunesmith_controller.decide.model import Object

_GIVES_UP = frozenset(code.value for code in ExitCode if code.final)


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
    meta = request["metadata"]
    return Identity(
        meta["name"],
        meta.get("namespace", "default"),
        meta["uid"],
        meta.get("generation", 1),
        "deletionTimestamp" in meta,
    )


def read_status(request: Object) -> Status:
    """The status as it was last written. What a newer controller has added is left out; one that cannot be read at all is a new one."""
    written = request.get("status")
    if not written:
        return Status()
    with contextlib.suppress(ValidationError):
        return read_pruned(Status, json.dumps(written))
    return Status()


def rfc3339(moment: datetime) -> str:
    """A moment as Kubernetes writes it, in whole seconds of UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: str) -> datetime | None:
    """The moment in a timestamp; None if there is none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def name_of(thing: Object) -> str:
    """Name of an object."""
    return str(thing["metadata"]["name"])


def label(thing: Object, key: str) -> str:
    """A label, empty if it is not there."""
    return str((thing["metadata"].get("labels") or {}).get(key, ""))


def attempt_of(job: Object) -> int:
    """The attempt that a Job is; 0 if it does not say."""
    text = label(job, wire.ATTEMPT)
    return int(text) if text.isdigit() else 0


def stage_of(job: Object) -> str:
    """The stage that a Job is of."""
    return label(job, wire.STAGE)


def annotation(thing: Object, key: str) -> str:
    """An annotation, empty if it is not there."""
    return str((thing["metadata"].get("annotations") or {}).get(key, ""))


def generation_of(job: Object) -> int:
    """The generation of the request that a Job was made for; 0 if it does not say."""
    text = annotation(job, GENERATION)
    return int(text) if text.isdigit() else 0


def terminating(thing: Object) -> bool:
    """Whether somebody has deleted it, and it is not gone yet."""
    return "deletionTimestamp" in thing["metadata"]


def condition(job: Object, kind: str) -> Mapping[str, Any] | None:
    """A condition of a Job that is True."""
    listed = (job.get("status") or {}).get("conditions") or ()
    return next((one for one in listed if one["type"] == kind and one["status"] == "True"), None)


def complete(job: Object) -> bool:
    """Whether a Job has done its work. `succeeded: 1` is not enough: its pods may not be through."""
    return condition(job, "Complete") is not None


def failed(job: Object) -> bool:
    """Whether a Job has given up."""
    return condition(job, "Failed") is not None


def unfinished(job: Object) -> bool:
    """Whether a Job may still have, or get, a pod that works."""
    return not complete(job) and not failed(job)


def pods_of(job: str, pods: Iterable[Object]) -> list[Object]:
    """The pods of a Job by its name, the oldest first."""
    mine = [pod for pod in pods if job and _job_of(pod) == job]
    return sorted(mine, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), name_of(pod)))


def alive(pod: Object) -> bool:
    """Whether a pod may still work."""
    return (pod.get("status") or {}).get("phase", "Pending") not in ("Succeeded", "Failed")


def _job_of(pod: Object) -> str:
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "Job":
            return str(owner["name"])
    return label(pod, "batch.kubernetes.io/job-name") or label(pod, "job-name")


def _runs(pods: Iterable[Object]) -> Iterator[tuple[datetime, datetime | None]]:
    """When the stage's container started and ended, for each pod in which it did."""
    for pod in pods:
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            state = container.get("state") or {}
            if container.get("name") != wire.CONTAINER:
                continue
            if "running" in state and (start := read_time(state["running"].get("startedAt") or "")):
                yield start, None
            elif "terminated" in state and (start := read_time(state["terminated"].get("startedAt") or "")):
                yield start, read_time(state["terminated"].get("finishedAt") or "") or start


def started(pods: Sequence[Object]) -> datetime | None:
    """When the stage's container first started in these pods; None if it has not."""
    return min((start for start, _ in _runs(pods)), default=None)


def running_now(pods: Sequence[Object]) -> bool:
    """Whether the stage's container is running in one of these pods."""
    return any(end is None for _, end in _runs(pods))


def succeeded(pods: Sequence[Object]) -> bool:
    """Whether the newest pod has done its work."""
    return bool(pods) and (pods[-1].get("status") or {}).get("phase") == "Succeeded"


def running_seconds(pods: Sequence[Object], now: datetime) -> float:
    """Seconds that the stage's container has run in these pods, all together; waiting is not counted."""
    return sum(max(0.0, ((end or now) - start).total_seconds()) for start, end in _runs(pods))


def result(pods: Sequence[Object]) -> Result | None:
    """What the newest pod said when it ended; None if it said nothing that can be read."""
    for pod in reversed(pods):
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            message = ((container.get("state") or {}).get("terminated") or {}).get("message") or ""
            if container.get("name") == wire.CONTAINER and isinstance(
                found := parse(message.strip()), Result
            ):
                return found
    return None


def fails_its_job(pods: Sequence[Object]) -> bool:
    """Whether the newest pod has ended with a code on which its Job gives up by itself, as soon as it has seen it."""
    for container in ((pods[-1].get("status") or {}).get("containerStatuses") or ()) if pods else ():
        code = ((container.get("state") or {}).get("terminated") or {}).get("exitCode")
        if container.get("name") == wire.CONTAINER and code in _GIVES_UP:
            return True
    return False


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics without those that JSON cannot hold."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
