"""Which keys a run has finished: what status remembers, and what Jobs that are complete say now."""

from collections.abc import Iterable, Sequence

from tunesmith import wire
from tunesmith.resolve import Snapshot, StageKey
from tunesmith.status import FinishedStage, StageStatus, Status
from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import (
    complete,
    finite,
    label,
    name_of,
    pods_of,
    read_time,
    result,
    running_seconds,
)

MOST = 50  # keys that status remembers
_FIGURES_TRIES = 3  # attempts after which evaluate's figures are given up

Finished = dict[tuple[str, str], FinishedStage]  # by stage and key, the oldest first


def finished(old: Status, jobs: Iterable[Object], pods: Sequence[Object]) -> Finished:
    """Every key that is done. Status must hold it before its Job vanishes, so this comes before everything else."""
    found: Finished = {(entry.stage, entry.key): entry for entry in old.finished}
    done = [job for job in jobs if complete(job)]
    for job in sorted(
        done, key=lambda job: ((job.get("status") or {}).get("completionTime", ""), name_of(job))
    ):
        entry, later = _entry(job, pods)
        for one in (entry, *later):
            known = found.get((one.stage, one.key))
            if known is None or (one.metrics and not known.metrics):
                found[one.stage, one.key] = one
    return found


def _entry(job: Object, pods: Sequence[Object]) -> tuple[FinishedStage, list[FinishedStage]]:
    """What a complete Job has finished, and what its result says that the store holds already. Its message may be lost."""
    mine = pods_of(name_of(job), pods)
    said = result(mine)
    ended = str((job.get("status") or {}).get("completionTime", ""))
    now = read_time(ended)
    seconds = running_seconds(mine, now) if now else 0.0
    entry = FinishedStage(
        stage=label(job, wire.STAGE),
        key=label(job, wire.KEY),
        completionTime=ended,
        seconds=round(said.seconds if said and said.seconds else seconds, 3),
        metrics=finite(said.metrics) if said and said.exit_code == 0 else {},
    )
    if said is None or said.exit_code != 0:
        return entry, []
    return entry, [
        FinishedStage(stage=stage, key=key, metrics=finite(said.evaluated) if stage == "evaluate" else {})
        for stage, key in said.done_keys.items()
    ]


def is_done(
    stage: StageKey, done: Finished, snapshot: Snapshot, row: StageStatus | None, jobs: Iterable[Object]
) -> bool:
    """Whether a stage needs no Job. With a gate, evaluate is not done without its figures: another Job finds its work and tells them."""
    entry = done.get((stage.name, stage.key))
    if entry is None:
        return False
    lacks = stage.name == "evaluate" and snapshot.spec.evaluation.gate is not None and not entry.metrics
    if not lacks:
        return True
    if row is None or row.attempt < _FIGURES_TRIES:
        return False
    return row.phase == "Succeeded" or any(name_of(job) == row.job and complete(job) for job in jobs)


def remembered(done: Finished, snapshot: Snapshot | None) -> tuple[FinishedStage, ...]:
    """What status keeps: the newest, and always those of the present snapshot."""
    present = {(stage.name, stage.key) for stage in snapshot.stages} if snapshot else set()
    spare = MOST - sum(key in present for key in done)
    others = [key for key in done if key not in present]
    kept = present | set(others[max(0, len(others) - spare) :])
    return tuple(entry for key, entry in done.items() if key in kept)
