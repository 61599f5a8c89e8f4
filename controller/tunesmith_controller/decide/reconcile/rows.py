"""A stage's row in the status, and how it changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tunesmith.events import Progress
from tunesmith.metrics import reported
from tunesmith.resolve import StageKey
from tunesmith.status import FinishedStage, StageStatus
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.classify import Finding, not_created
from tunesmith_controller.decide.model import Delete, Object
from tunesmith_controller.decide.objects import name_of, namespace_of, rfc3339
from tunesmith_controller.decide.pods import KUEUE_QUEUE
from tunesmith_controller.decide.reconcile.case import Case

_ETA_SLACK = timedelta(seconds=60)
_LONGEST = 10 * 365 * 86_400  # seconds of an ETA


@dataclass(frozen=True)
class Step:
    """The next row of the current stage.

    `start`: its Job is to be created, unless something blocks it; `lost`: a Job that vanished before it had
    ended; `again`: seconds after which to look again; `ends`: pods to delete.
    """

    row: StageStatus
    start: bool = False
    lost: str = ""
    again: float | None = None
    ends: tuple[Delete, ...] = ()

    @property
    def wanted(self) -> str:
        """Name of the Job that is to be left alone."""
        return self.row.job if self.row.phase in ("Pending", "Running") else ""


def succeeded(
    stage: StageKey, row: StageStatus | None, entry: FinishedStage, output: str, pods: Sequence[Object]
) -> StageStatus:
    """The row of a stage that is done. `pods`: of its last Job."""
    row = row or StageStatus(name=stage.name, key=stage.key)
    keepers = _keepers(pods[-1]) if pods else ""
    if row.phase == "Succeeded":
        message = row.message
    elif keepers:
        message = f"{keepers} kept its pod alive, so its Job is deleted"
    elif row.attempt:
        message = entry.note
    elif entry.completion_time:
        message = "finished earlier"
    else:
        message = "the store already held it"
    return row.model_copy(
        update={
            "phase": "Succeeded",
            "progress": 100,
            "eta": "",
            "reason": "",
            "message": message,
            "lost": 0,
            "failed_generation": 0,
            "completion_time": entry.completion_time,
            "metrics": entry.metrics or row.metrics,
            "output": output,
        }
    )


def ran(row: StageStatus, pods: Sequence[Object]) -> StageStatus:
    """The row of a stage that is done, with the pod and the start that no write has told of."""
    started = objects.started(pods)
    if row.start_time or started is None:
        return row
    return row.model_copy(update={"start_time": rfc3339(started), "pod": name_of(pods[-1])})


def later(stage: StageKey, row: StageStatus | None) -> StageStatus:
    """The row of a stage that is not next."""
    return StageStatus(name=stage.name, key=stage.key, attempt=row.attempt if row else 0)


def fresh(row: StageStatus) -> StageStatus:
    """The row without its Job: the next one is a new attempt, which continues from what is saved."""
    return StageStatus(
        name=row.name,
        key=row.key,
        attempt=row.attempt,
        lost=row.lost,
        progress=row.progress,
        metrics=row.metrics,
    )


def named(row: StageStatus, job: Object, refusal: str) -> StageStatus:
    """The row with the Job that is about to be created.

    `refusal`: what the API server refused to create the last time, and why.
    """
    name = name_of(job)
    if refusal:
        finding = not_created(refusal, namespace_of(job))
        reason, message = finding.reason, explained(finding)
    else:
        reason, message = "Starting", f"waiting for the pod of Job {name} to start"
    return row.model_copy(
        update={
            "job": name,
            "attempt": objects.attempt_of(job) or row.attempt,
            "phase": "Pending",
            "reason": reason,
            "message": message,
        }
    )


def _held(job: Object) -> str:
    """Why a Job that is suspended does not run."""
    if objects.label(job, KUEUE_QUEUE):
        return "the Job waits in its queue until Kueue admits it"
    return (
        f"Job {name_of(job)} is suspended, by a controller of queues or by hand; "
        "it goes on when its spec.suspend is false again"
    )


def counted(row: StageStatus, job: Object, pods: Sequence[Object]) -> StageStatus:
    """The row with the Job's failures and its newest pod."""
    pod = name_of(pods[-1]) if pods else row.pod
    return row.model_copy(update={"failures": objects.failures(job), "pod": pod})


def waiting(row: StageStatus, job: Object, finding: Finding | None) -> StageStatus:
    """The row of a stage whose container has not started yet, or is to start again once its Job may go on."""
    if objects.condition(job, "Suspended"):
        reason, message = "WaitingForQueue", _held(job)
    elif finding is not None:
        reason, message = finding.reason, explained(finding)
    else:
        reason, message = "Starting", f"waiting for the pod of Job {row.job} to start"
    return row.model_copy(update={"phase": "Pending", "reason": reason, "message": message})


def running(case: Case, row: StageStatus, pods: Sequence[Object], finding: Finding | None) -> StageStatus:
    """The row of a stage whose container has started."""
    started = objects.started(pods)
    changes: dict[str, object] = {
        "phase": "Running",
        "start_time": row.start_time or (rfc3339(started) if started else ""),
        "reason": "Running",
    }
    progress = case.world.progress.get(objects.uid_of(pods[-1])) if pods else None
    if finding is not None:  # the next pod does not start, or the node of this one is lost
        changes |= {"reason": finding.reason, "message": explained(finding), "eta": ""}
    elif not objects.running_now(pods):  # between two pods of the Job
        changes |= {"message": "starting again", "eta": ""}
    elif progress is not None:
        changes |= _progressed(row, progress, case.now)
    else:
        changes |= {"message": row.message if row.reason == "Running" else "running"}
    return row.model_copy(update=changes)


def kept(case: Case, row: StageStatus, pods: Sequence[Object]) -> StageStatus:
    """The row of a stage that is done, in a pod that others keep alive."""
    message = f"done; {_keepers(pods[-1])} keeps its pod alive"
    return running(case, row, pods, None).model_copy(update={"message": message})


def with_keepers(finding: Finding | None, pod: Object) -> Finding:
    """The finding about a container that has failed, with those that keep its pod alive."""
    if finding is None:  # it was asked to stop, though nobody has deleted the pod
        finding = Finding("Stopped", "the stage was stopped by a signal", "", pod=name_of(pod))
    return replace(
        finding,
        message=f"{finding.message.rstrip('.')}; {_keepers(pod)} keeps the pod alive, which is deleted",
    )


def stopping(row: StageStatus, *, suspend: bool) -> StageStatus:
    """The row of a stage whose Job is to go."""
    message = f"waiting until Job {row.job} and its pod are gone"
    if suspend:
        message = "suspended: it saves its state and ends"
    return row.model_copy(update={"phase": "Stopping", "reason": "Stopping", "message": message, "eta": ""})


def failed(case: Case, row: StageStatus, finding: Finding) -> StageStatus:
    """The row of a stage that has failed for good."""
    return row.model_copy(
        update={
            "phase": "Failed",
            "reason": finding.reason,
            "message": explained(finding),
            "pod": finding.pod or row.pod,
            "failed_generation": case.who.generation,
            "completion_time": rfc3339(case.now),
            "eta": "",
        }
    )


def explained(finding: Finding) -> str:
    """What happened, in which pod, and what to do."""
    where = f" (pod {finding.pod})" if finding.pod and finding.pod not in finding.message else ""
    remedy = f". What to do: {finding.remedy}" if finding.remedy else ""
    return f"{finding.message.rstrip('.')}{where}{remedy}"


def _keepers(pod: Object) -> str:
    """The containers that keep a pod alive, as a subject of a sentence; empty if none do."""
    names = objects.beside(pod)
    if not names:
        return ""
    return f"container {names[0]} beside it" + (f" (and {', '.join(names[1:])})" if names[1:] else "")


def _progressed(row: StageStatus, progress: Progress, now: datetime) -> Mapping[str, object]:
    """What a progress line changes in a row."""
    percent = 100 * progress.done // progress.total if progress.total > 0 else 0
    loss = f", loss {progress.metrics['loss']:.4g}" if "loss" in progress.metrics else ""
    phase = f"{progress.phase}: " if progress.phase and progress.phase != row.name else ""
    return {
        "progress": max(0, min(99, percent)),
        "eta": _eta(row, progress, now),
        "metrics": row.metrics | reported(progress.metrics),
        "message": f"{phase}{progress.done} of {progress.total} {progress.unit}{loss}",
    }


def _eta(row: StageStatus, progress: Progress, now: datetime) -> str:
    """When the stage is done; the moment that the row has, as long as that is about right.

    NaN and what no calendar holds are left out.
    """
    if progress.eta is None or not 0 <= progress.eta < _LONGEST:
        return ""
    moment = now + timedelta(seconds=progress.eta)
    before = objects.read_time(row.eta)
    if before is not None and abs(moment - before) <= _ETA_SLACK:
        return row.eta
    return rfc3339(moment)
