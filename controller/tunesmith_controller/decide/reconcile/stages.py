"""One stage: its row in status and its Jobs -> its next row, and whether its Job is to be made. Pure.

At most one stage of a request is at work, and at most one Job of a key. A row names its Job before the Job is made; a Job that was
seen and is gone gets a successor under the next attempt, one that was never seen is made again under the same name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tunesmith import wire
from tunesmith.events import Progress
from tunesmith.resolve import StageKey
from tunesmith.status import FinishedStage, StageStatus
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.classify import Finding, classify, lost_node
from tunesmith_controller.decide.model import Object, World
from tunesmith_controller.decide.objects import Identity, name_of, rfc3339

_ETA_SLACK = timedelta(seconds=60)
_LONGEST = 10 * 365 * 86_400  # seconds of an ETA
_LOST_AGAIN = 30.0  # seconds between two looks at a pod that is to go: no watch tells that it did not
_UNNAMED = timedelta(
    seconds=10
)  # a pod that starts sooner is not worth a write of its own: the next one says that it runs


@dataclass(frozen=True)
class Wish:
    """What the request asks of the stage at work. `outdated`: whether a Job is one that would be made otherwise today."""

    suspend: bool
    outdated: Callable[[Object], bool]
    deadline: int  # seconds of running; 0: none


@dataclass(frozen=True)
class Step:
    """The next row of the stage at work. `start`: its Job is to be made as soon as nothing else holds it; `again`: seconds."""

    row: StageStatus
    start: bool = False
    lost: str = ""  # Job that vanished while it ran
    again: float | None = None

    @property
    def wanted(self) -> str:
        """Name of the Job that is to be left alone."""
        return self.row.job if self.row.phase in ("Pending", "Running") else ""


def succeeded(stage: StageKey, row: StageStatus | None, entry: FinishedStage, output: str) -> StageStatus:
    """The row of a stage that is done."""
    row = row or StageStatus(name=stage.name, key=stage.key)
    return row.model_copy(
        update={
            "phase": "Succeeded",
            "progress": 100,
            "eta": "",
            "reason": "",
            "message": ""
            if row.attempt
            else "the store held it already"
            if not entry.completion_time
            else "done before",
            "failed_generation": 0,
            "completion_time": entry.completion_time,
            "metrics": entry.metrics or row.metrics,
            "output": output,
        }
    )


def later(stage: StageKey, row: StageStatus | None) -> StageStatus:
    """The row of a stage whose turn has not come."""
    return StageStatus(name=stage.name, key=stage.key, attempt=row.attempt if row else 0)


def advance(
    stage: StageKey, old: StageStatus | None, who: Identity, world: World, wish: Wish, now: datetime
) -> Step:
    """The stage at work: not done, and all before it are."""
    mine = [
        job
        for job in world.jobs
        if objects.label(job, wire.STAGE) == stage.name and objects.label(job, wire.KEY) == stage.key
    ]
    row = _taken_up(old or StageStatus(name=stage.name, key=stage.key), who, mine)
    if row.phase == "Failed":
        return Step(row)
    job = next((job for job in mine if name_of(job) == row.job), None)
    pods = objects.pods_of(row.job, world.pods)
    if row.phase == "Stopping":
        return _stopping(row, job, pods, now)
    if job is None:
        return _without_job(row, pods)
    if objects.terminating(job):
        return Step(_stop(row, wish))
    if objects.complete(
        job
    ):  # but its result is lost, which is needed: another Job finds its work and tells it
        return _stopping(row, job, pods, now)
    if objects.failed(job):
        if wish.outdated(job):  # what made it fail was mended while it ran, or while nobody looked
            return _stopping(row, job, pods, now)
        finding = classify(job, pods, world.events, now, stage=stage.name)
        assert finding is not None, "a Job that has failed says so at least"
        return Step(_failed(_counted(row, job, pods), finding, who, now))
    return _at_work(row, job, pods, who, world, wish, now)


def _taken_up(row: StageStatus, who: Identity, mine: Sequence[Object]) -> StageStatus:
    """The row, after an edit has given a failed stage another try, and with the live Job of the key if it knows of none."""
    if row.phase == "Failed" and row.failed_generation < who.generation:
        row = StageStatus(name=row.name, key=row.key, attempt=row.attempt, job=row.job, phase="Stopping")
    live = [job for job in mine if objects.unfinished(job) and not objects.terminating(job)]
    known = {name_of(job) for job in mine}
    if live and row.phase != "Failed" and row.job not in known:
        newest = max(live, key=objects.attempt_of)
        row = row.model_copy(
            update={
                "job": name_of(newest),
                "attempt": max(row.attempt, objects.attempt_of(newest)),
                "phase": "Pending",
            }
        )
    if not row.job:  # a key that comes back: attempts that can still be seen keep their names
        row = row.model_copy(update={"attempt": max([row.attempt, *map(objects.attempt_of, mine)])})
    return row


def _stopping(row: StageStatus, job: Object | None, pods: Sequence[Object], now: datetime) -> Step:
    if (job is not None and objects.unfinished(job)) or any(map(objects.alive, pods)):
        lost = lost_node(pods, row.name, now)
        if lost is not None:
            row = row.model_copy(update={"reason": lost.reason, "message": explained(lost)})
        return Step(row, again=_LOST_AGAIN if any(map(objects.terminating, pods)) else None)
    return Step(_fresh(row), start=True)


def _without_job(row: StageStatus, pods: Sequence[Object]) -> Step:
    if any(map(objects.alive, pods)):  # pods are seen before, or after, their Job
        return Step(row)
    if row.phase == "Running":
        return Step(_fresh(row), start=True, lost=row.job)
    return Step(row, start=True)


def _at_work(
    row: StageStatus,
    job: Object,
    pods: Sequence[Object],
    who: Identity,
    world: World,
    wish: Wish,
    now: datetime,
) -> Step:
    if wish.suspend and not objects.succeeded(pods):
        return Step(_stop(row, wish))
    before, row = row, _counted(row, job, pods)
    started, through = objects.started(pods), objects.succeeded(pods)
    if not through and not objects.running_now(pods) and wish.outdated(job):
        return Step(_stop(row, wish))
    ran = objects.running_seconds(pods, now)
    if wish.deadline and ran >= wish.deadline and not through:
        return Step(_failed(row, _too_long(row, wish.deadline), who, now))
    finding = classify(job, pods, world.events, now, stage=row.name)
    if (
        finding is not None and finding.final and not objects.fails_its_job(pods)
    ):  # else the pod would go with its log
        return Step(_failed(row, finding, who, now))
    again = wish.deadline - ran if wish.deadline and objects.running_now(pods) else None
    if any(map(objects.terminating, pods)):
        again = _LOST_AGAIN if again is None else min(again, _LOST_AGAIN)
    if started is None:
        young = bool(pods) and now - _made(pods[-1], now) < _UNNAMED
        return Step(_waiting(row if finding or not young else before, job, finding), again=15.0)
    if before.phase == "Running" and through:  # the Job says so in a moment, and that is the news
        return Step(before, again=again)
    return Step(_running(row, started, pods, finding, world.progress, now), again=again)


def _made(pod: Object, now: datetime) -> datetime:
    return objects.read_time(pod["metadata"].get("creationTimestamp", "")) or now


def _waiting(row: StageStatus, job: Object, finding: Finding | None) -> StageStatus:
    if objects.condition(job, "Suspended"):
        reason, message = "WaitingForQueue", "the Job waits in its queue until Kueue admits it"
    elif finding is not None:
        reason, message = finding.reason, explained(finding)
    else:
        reason, message = "Starting", f"waiting for the pod of Job {row.job} to start"
    return row.model_copy(update={"phase": "Pending", "reason": reason, "message": message})


def _running(
    row: StageStatus,
    started: datetime,
    pods: Sequence[Object],
    finding: Finding | None,
    progress: Mapping[str, Progress],
    now: datetime,
) -> StageStatus:
    changes: dict[str, object] = {
        "phase": "Running",
        "start_time": row.start_time or rfc3339(started),
        "reason": "Running",
    }
    told = progress.get(pods[-1]["metadata"].get("uid", "")) if pods else None
    if finding is not None:  # the next pod does not start, or the node of this one is lost
        changes |= {"reason": finding.reason, "message": explained(finding), "eta": ""}
    elif not objects.running_now(pods):  # between two pods of the Job
        changes |= {"message": "starting again", "eta": ""}
    elif told is not None:
        changes |= _told(row, told, now)
    else:
        changes |= {"message": row.message if row.reason == "Running" else "running"}
    return row.model_copy(update=changes)


def _told(row: StageStatus, told: Progress, now: datetime) -> dict[str, object]:
    eta = ""
    if told.eta is not None and 0 <= told.eta < _LONGEST:  # NaN, and what no calendar holds, are no news
        moment, before = now + timedelta(seconds=told.eta), objects.read_time(row.eta)
        eta = row.eta if before is not None and abs(moment - before) <= _ETA_SLACK else rfc3339(moment)
    loss = f", loss {told.metrics['loss']:.4g}" if "loss" in told.metrics else ""
    doing = f"{told.phase}: " if told.phase and told.phase != row.name else ""
    return {
        "progress": max(0, min(99, 100 * told.done // told.total)) if told.total > 0 else 0,
        "eta": eta,
        "metrics": row.metrics | objects.finite(told.metrics),
        "message": f"{doing}{told.done} of {told.total} {told.unit}{loss}",
    }


def _counted(row: StageStatus, job: Object, pods: Sequence[Object]) -> StageStatus:
    failures = int((job.get("status") or {}).get("failed") or 0)
    return row.model_copy(update={"failures": failures, "pod": name_of(pods[-1]) if pods else row.pod})


def _stop(row: StageStatus, wish: Wish) -> StageStatus:
    message = (
        "suspended: it saves its state and ends"
        if wish.suspend
        else f"waiting until Job {row.job} and its pod are gone"
    )
    return row.model_copy(update={"phase": "Stopping", "reason": "Stopping", "message": message, "eta": ""})


def _fresh(row: StageStatus) -> StageStatus:
    """The row without the Job it had: the next one is a new attempt, which goes on from what is saved."""
    return StageStatus(
        name=row.name, key=row.key, attempt=row.attempt, progress=row.progress, metrics=row.metrics
    )


def _failed(row: StageStatus, finding: Finding, who: Identity, now: datetime) -> StageStatus:
    return row.model_copy(
        update={
            "phase": "Failed",
            "reason": finding.reason,
            "message": explained(finding),
            "pod": finding.pod or row.pod,
            "failed_generation": who.generation,
            "completion_time": rfc3339(now),
            "eta": "",
        }
    )


def explained(finding: Finding) -> str:
    """What happened, in which pod, and what to do."""
    where = f" (pod {finding.pod})" if finding.pod and finding.pod not in finding.message else ""
    remedy = f". What to do: {finding.remedy}" if finding.remedy else ""
    return f"{finding.message.rstrip('.')}{where}{remedy}"


def _too_long(row: StageStatus, deadline: int) -> Finding:
    return Finding(
        "DeadlineExceeded",
        f"the stage has run for its activeDeadlineSeconds ({deadline})",
        f"raise spec.stages.{row.name}.activeDeadlineSeconds; the next attempt goes on from what is saved",
        pod=row.pod,
        final=True,
    )
