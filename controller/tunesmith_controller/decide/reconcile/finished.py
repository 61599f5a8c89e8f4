"""Which keys a run has finished: what the status remembers, and what complete Jobs report now."""

from collections.abc import Iterable, Sequence

from tunesmith import wire
from tunesmith.events import Result
from tunesmith.metrics import reported
from tunesmith.resolve import Snapshot, StageKey
from tunesmith.stages import JUDGED, STAGES
from tunesmith.status import FinishedStage, StageStatus, Status
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import label, name_of, status_of

MOST = 50  # keys that the status remembers
_METRICS_TRIES = 3  # attempts after which the metrics of the judged stage are given up

Finished = dict[tuple[str, str], FinishedStage]  # by stage and key, the oldest first


def finished(old: Status, jobs: Iterable[Object], pods: Sequence[Object]) -> Finished:
    """Every key that is done.

    The status must hold it before its Job vanishes, so this comes before everything else.
    """
    entries: Finished = {(entry.stage, entry.key): entry for entry in old.finished}
    complete = [job for job in jobs if objects.complete(job)]
    for job in sorted(complete, key=lambda job: (_completed(job), name_of(job))):
        for entry in _entries(job, objects.pods_of(name_of(job), pods)):
            known = entries.get((entry.stage, entry.key))
            if known is None or (entry.metrics and not known.metrics):
                entries[entry.stage, entry.key] = entry
    return entries


def is_done(
    stage: StageKey, done: Finished, snapshot: Snapshot, row: StageStatus | None, jobs: Iterable[Object]
) -> bool:
    """Whether a stage needs no Job.

    A gate needs the metrics of the stage that it judges: without them, another Job finds its work and reports
    them.
    """
    entry = done.get((stage.name, stage.key))
    if entry is None:
        return False
    if entry.metrics or stage.name != JUDGED or snapshot.spec.evaluation.gate is None:
        return True
    if row is None or row.attempt < _METRICS_TRIES:
        return False
    return row.phase == "Succeeded" or any(name_of(job) == row.job and objects.complete(job) for job in jobs)


def remembered(done: Finished, snapshot: Snapshot | None) -> tuple[FinishedStage, ...]:
    """What the status keeps: the newest keys, and always those of the present snapshot."""
    present = {(stage.name, stage.key) for stage in snapshot.stages} if snapshot else set()
    spare = MOST - sum(key in present for key in done)
    others = [key for key in done if key not in present]
    kept = present | set(others[max(0, len(others) - spare) :])
    return tuple(entry for key, entry in done.items() if key in kept)


def _entries(job: Object, pods: Sequence[Object]) -> list[FinishedStage]:
    """What a complete Job has finished, and what its result says that the store holds already.

    The result may be lost.
    """
    result = objects.last_result(pods)
    if result is not None and result.exit_code == 0:
        return [_entry(job, pods, result), *_held(result)]
    return [_entry(job, pods, result)]


def _entry(job: Object, pods: Sequence[Object], result: Result | None) -> FinishedStage:
    seconds = result.seconds if result is not None else 0.0
    completed = objects.read_time(_completed(job))
    if not seconds and completed is not None:
        seconds = objects.running_seconds(pods, completed)
    return FinishedStage(
        stage=label(job, wire.STAGE),
        key=label(job, wire.KEY),
        completionTime=_completed(job),
        seconds=round(seconds, 3),
        metrics=reported(result.metrics) if result is not None and result.exit_code == 0 else {},
    )


def _held(result: Result) -> list[FinishedStage]:
    """The later stages that the store holds already."""
    return [
        FinishedStage(stage=stage, key=key, metrics=reported(result.evaluated) if stage == JUDGED else {})
        for stage, key in result.done_keys.items()
        if stage in STAGES
    ]


def _completed(job: Object) -> str:
    return str(status_of(job).get("completionTime", ""))
