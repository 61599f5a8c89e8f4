"""What the rules read of a Job or a pod to tell why it makes no progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.events import Result
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Event, Object

_LONGEST = 400  # characters of a message that another program wrote
_DEFAULTS = "kubernetes.io/limit-ranger"  # annotation of a pod: what a LimitRange has filled in


@dataclass(frozen=True)
class Finding:
    """What happened, in which pod, and what to do. `final`: no further try of this attempt can help."""

    reason: str
    message: str
    remedy: str
    pod: str = ""
    final: bool = False


@dataclass(frozen=True)
class PodFacts:
    """A pod of a stage.

    `scheduler`: that the pod names; `created`: as RFC 3339; `deleted`: when the pod was to be gone, if it was
    deleted; `status`: Kubernetes' status of the pod; `container`: the stage's container as the pod asks for
    it; `defaults`: what a LimitRange has added, in its own words; `waiting` and `terminated`: its state;
    `events`: about the pod, the oldest first.
    """

    name: str
    namespace: str
    stage: str
    node: str
    scheduler: str
    alive: bool
    running: bool
    succeeded: bool
    created: str
    deleted: str
    status: Mapping[str, Any]
    container: Mapping[str, Any]
    defaults: str
    waiting: Mapping[str, Any]
    terminated: Mapping[str, Any]
    result: Result | None
    scheduling: Mapping[str, Any]
    disruption: Mapping[str, Any]
    events: tuple[Event, ...] = ()

    def event(self, *reasons: str) -> str:
        """Message of the newest event with one of these reasons; empty without one."""
        return _newest(self.events, reasons)

    def finding(self, reason: str, message: str, remedy: str, *, final: bool = False) -> Finding:
        """A finding about this pod."""
        return Finding(reason, message, remedy, pod=self.name, final=final)


def pod_facts(pod: Object, stage: str, events: Sequence[Event] = ()) -> PodFacts:
    """What the rules read of a pod."""
    return PodFacts(
        name=objects.name_of(pod),
        namespace=objects.namespace_of(pod),
        stage=stage,
        node=objects.node_of(pod),
        scheduler=str((pod.get("spec") or {}).get("schedulerName") or "default-scheduler"),
        alive=objects.alive(pod),
        running=objects.running(pod),
        succeeded=objects.succeeded([pod]),
        created=objects.created(pod),
        deleted=str(pod["metadata"].get("deletionTimestamp") or ""),
        status=objects.status_of(pod),
        container=objects.container_of(pod),
        defaults=objects.annotation(pod, _DEFAULTS),
        waiting=objects.waiting(pod),
        terminated=objects.terminated(pod),
        result=objects.result_of(pod),
        scheduling=objects.condition(pod, "PodScheduled", "False"),
        disruption=objects.condition(pod, "DisruptionTarget"),
        events=tuple(events),
    )


@dataclass(frozen=True)
class JobFacts:
    """A Job of a stage.

    `reason` and `message`: Kubernetes' own for why it has given up; `failures`: pods that failed and were
    counted; `events`: about the Job, the oldest first.
    """

    name: str
    namespace: str
    stage: str
    complete: bool
    failed: bool
    reason: str
    message: str
    failures: int
    events: tuple[Event, ...] = ()

    def event(self, reason: str) -> str:
        """Message of the newest event with this reason; empty without one."""
        return _newest(self.events, (reason,))


def job_facts(job: Object, stage: str, events: Sequence[Event] = ()) -> JobFacts:
    """What the rules read of a Job."""
    failed = objects.condition(job, "Failed")
    return JobFacts(
        name=objects.name_of(job),
        namespace=objects.namespace_of(job),
        stage=stage,
        complete=objects.complete(job),
        failed=bool(failed),
        reason=str(failed.get("reason") or ""),
        message=str(failed.get("message") or ""),
        failures=objects.failures(job),
        events=tuple(events),
    )


def added_by_others(pod: PodFacts, container: str) -> str:
    """What to do about a container that is in a pod without Tunesmith's doing."""
    return (
        "a policy or a service mesh has added it to the pod: see "
        f"`kubectl -n {pod.namespace} logs {pod.name} -c {container}`, and keep it away "
        f"by pods.{pod.stage}.labels or annotations in the profile"
    )


def shortened(text: str) -> str:
    """Another program's message on one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _newest(events: Sequence[Event], reasons: Sequence[str]) -> str:
    return next((event.message for event in reversed(events) if event.reason in reasons), "")
