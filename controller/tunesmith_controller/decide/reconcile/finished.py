"""Which keys a run has finished: what the status remembers, and what Jobs report that have done their work.

A stage is over when its container is. Others may keep the pod alive, and the Job with it; or the Job vanishes
as soon as it has ended.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tunesmith import wire
from tunesmith.events import Result
from tunesmith.metrics import reported
from tunesmith.resolve import Snapshot, StageKey
from tunesmith.stages import JUDGED, STAGES
from tunesmith.status import FinishedStage, StageStatus, Status
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Object, World
from tunesmith_controller.decide.objects import label, name_of, status_of

MOST = 50  # keys that the status remembers
_METRICS_TRIES = 3  # attempts after which the metrics of the judged stage are given up

# What stands beside a stage's container may end by itself when that has: until then nobody touches the pod.
PATIENCE = timedelta(seconds=10)

Finished = dict[tuple[str, str], FinishedStage]  # by stage and key, the oldest first


def done_jobs(world: World, now: datetime) -> list[Object]:
    """The Jobs that have done their work, whether or not they are complete, or still there."""
    gone = {name_of(job) for job in world.gone_jobs}
    return [
        job
        for job in (*world.jobs, *world.gone_jobs)
        if _did_its_work(job, pods_seen(world, name_of(job)), now, gone=name_of(job) in gone)
    ]


def pods_seen(world: World, job: str) -> list[Object]:
    """The pods of a Job by its name, the oldest first, with those that are gone."""
    return objects.pods_of(job, (*world.pods, *map(_as_ended, world.gone_pods)))


def _as_ended(pod: Object) -> Object:
    """A pod that is gone. Its last state may still show others in it that run, and that it was to go."""
    metadata = {name: value for name, value in pod["metadata"].items() if name != "deletionTimestamp"}
    phase = "Failed" if objects.alive(pod) else objects.phase_of(pod)
    return {**pod, "metadata": metadata, "status": {**status_of(pod), "phase": phase}}


def finished(old: Status, done: Sequence[Object], world: World) -> Finished:
    """Every key that is done.

    The status must hold it before its Job vanishes, so this comes before everything else. `done`: the Jobs
    that have done their work.
    """
    entries: Finished = {(entry.stage, entry.key): entry for entry in old.finished}
    pods = {name_of(job): pods_seen(world, name_of(job)) for job in done}
    for job in sorted(done, key=lambda job: (_completed(job, pods[name_of(job)]), name_of(job))):
        for entry in _entries(job, pods[name_of(job)]):
            known = entries.get((entry.stage, entry.key))
            if known is None or (entry.metrics and not known.metrics):
                entries[entry.stage, entry.key] = entry
    return entries


def is_done(
    stage: StageKey, done: Finished, snapshot: Snapshot, row: StageStatus | None, jobs: Iterable[str]
) -> bool:
    """Whether a stage needs no Job.

    A gate needs the metrics of the stage that it judges: without them, another Job finds its work and reports
    them. `jobs`: names of those that have done their work.
    """
    entry = done.get((stage.name, stage.key))
    if entry is None:
        return False
    if entry.metrics or stage.name != JUDGED or snapshot.spec.evaluation.gate is None:
        return True
    if row is None or row.attempt < _METRICS_TRIES:
        return False
    return row.phase == "Succeeded" or row.job in jobs


def remembered(done: Finished, snapshot: Snapshot | None) -> tuple[FinishedStage, ...]:
    """What the status keeps: the newest keys, and always those of the present snapshot."""
    present = {(stage.name, stage.key) for stage in snapshot.stages} if snapshot else set()
    spare = MOST - sum(key in present for key in done)
    others = [key for key in done if key not in present]
    kept = present | set(others[max(0, len(others) - spare) :])
    return tuple(entry for key, entry in done.items() if key in kept)


def _did_its_work(job: Object, pods: Sequence[Object], now: datetime, *, gone: bool) -> bool:
    """Whether a Job is complete, or the stage's container of a pod has done its work and the Job will not be.

    It will not be if it has failed, was deleted, or has a pod that has failed or lives on, for what became of
    another container.
    """
    if objects.complete(job):
        return True
    settled = gone or objects.terminating(job) or objects.failed(job)
    return any(objects.exit_code(pod) == 0 and (settled or _is_kept(pod, now)) for pod in pods)


def _is_kept(pod: Object, now: datetime) -> bool:
    if objects.phase_of(pod) == "Failed":
        return True
    return bool(objects.beside(pod)) and not patience(pod, now)


def patience(pod: Object, now: datetime) -> float:
    """Seconds that the containers beside the stage's still have to end by themselves."""
    left = (objects.ended(pod) or now) + PATIENCE - now
    return max(0.0, left.total_seconds())


def _entries(job: Object, pods: Sequence[Object]) -> list[FinishedStage]:
    """What a Job has finished, and what its result says that the store holds already.

    The result may be lost.
    """
    worked = [pod for pod in pods if objects.exit_code(pod) == 0]
    result = objects.last_result(worked or pods)
    if result is not None and result.exit_code == 0:
        return [_entry(job, pods, result), *_held(result)]
    return [_entry(job, pods, result)]


def _entry(job: Object, pods: Sequence[Object], result: Result | None) -> FinishedStage:
    seconds = result.seconds if result is not None else 0.0
    completed = objects.read_time(_completed(job, pods))
    if not seconds and completed is not None:
        seconds = objects.running_seconds(pods, completed)
    return FinishedStage(
        stage=label(job, wire.STAGE),
        key=label(job, wire.KEY),
        completionTime=_completed(job, pods),
        seconds=round(seconds, 3),
        metrics=reported(result.metrics) if result is not None and result.exit_code == 0 else {},
        note=result.note if result is not None else "",
    )


def _held(result: Result) -> list[FinishedStage]:
    """The later stages that the store holds already."""
    return [
        FinishedStage(stage=stage, key=key, metrics=reported(result.evaluated) if stage == JUDGED else {})
        for stage, key in result.done_keys.items()
        if stage in STAGES
    ]


def _completed(job: Object, pods: Sequence[Object]) -> str:
    """When a Job was complete, or else when its container ended."""
    ends = [
        str(objects.terminated(pod).get("finishedAt") or "") for pod in pods if objects.exit_code(pod) == 0
    ]
    return str(status_of(job).get("completionTime") or max(ends, default=""))
