"""The decision about one request: what it looks at is an argument, what is to be done is in the Decision.

Read `reconcile` from top to bottom. The other modules: case (what is decided on), accept, checks and
snapshots (what the request asks for), finished, stages and rows (where its stages are), blocker (what keeps
the next one from starting), job (the stage's Job), status and notes (what is told about it).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tunesmith.gate import Verdict, judge
from tunesmith.resolve import Snapshot
from tunesmith.stages import JUDGED
from tunesmith.status import StageStatus, Status
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Config, Decision, Delete, Object, SnapshotMap, World
from tunesmith_controller.decide.objects import name_of, uid_of
from tunesmith_controller.decide.pods import gpus
from tunesmith_controller.decide.reconcile import snapshots
from tunesmith_controller.decide.reconcile.accept import Acceptance, accept
from tunesmith_controller.decide.reconcile.blocker import Blocker, blocked, blocker_of
from tunesmith_controller.decide.reconcile.case import Case, case_of
from tunesmith_controller.decide.reconcile.finished import is_done
from tunesmith_controller.decide.reconcile.job import next_job, shares
from tunesmith_controller.decide.reconcile.notes import notes
from tunesmith_controller.decide.reconcile.rows import Step, named
from tunesmith_controller.decide.reconcile.snapshots import read_map
from tunesmith_controller.decide.reconcile.stages import walk
from tunesmith_controller.decide.reconcile.status import FINAL, Outcome, next_status
from tunesmith_controller.decide.standing import holds_a_place

__all__ = ["read_map", "reconcile"]

_DELETING = (
    "the request is being deleted, and finalizers in its metadata keep it; nothing of it runs any more"
)
_LONGEST = 86_400.0  # seconds until the next look at a request that expires some day
_LOOK_AGAIN = 30.0  # seconds, while a request waits for what no watch reports: a pod that does not go


def reconcile(world: World, now: datetime, config: Config) -> Decision:
    """What to do about a request, given what is there."""
    case = case_of(world, now, config)
    if case.who.deleted:
        return _counted(_leaving(case), world)
    accepted = accept(case)
    snapshot_map = accepted.snapshot_map
    if snapshot_map is None:
        return _counted(_not_begun(case, accepted.blocker), world)

    verdict = _verdict(case, snapshot_map.snapshot)
    rows, step = walk(case, snapshot_map, verdict)
    start = _start(case, accepted, snapshot_map, step) if step is not None else _Start(accepted.blocker)
    outcome = Outcome(
        rows=[start.row if start.row is not None and start.row.name == row.name else row for row in rows],
        current=step.row.name if step is not None else "",
        blocker=start.blocker,
        verdict=verdict,
        snapshot_map=snapshot_map,
    )
    status = next_status(case, outcome)
    deletes = _unwanted(world.jobs, step.wanted if step is not None else "")
    decision = Decision(
        status,
        deletes=deletes,
        creates=_created(case, snapshot_map, start.job),
        pods=(*_kept_pods(world, deletes), *(step.ends if step is not None else ())),
        shares=shares(world, step.wanted) if step is not None else (),
        notes=notes(case.old, status, step.lost if step is not None else ""),
        requeue_after=_requeue_after(world, status, step, start.blocker),
    )
    return _counted(_expired(case, decision, snapshot_map.snapshot), world)


def _not_begun(case: Case, blocker: Blocker | None) -> Decision:
    """The decision about a request without a snapshot: it was refused, or waits for another one."""
    status = next_status(case, Outcome(rows=case.old.stages, blocker=blocker))
    return Decision(
        status,
        deletes=_unwanted(case.world.jobs, "") if case.suspend else (),
        notes=notes(case.old, status),
    )


def _leaving(case: Case) -> Decision:
    """The decision about a request that is to go, and is kept by a finalizer of somebody else.

    Its children go with it, by their owner reference; until then nothing of it may run or hold a place.
    """
    status = case.old
    if status.phase not in FINAL:
        rows = [row if row.phase == "Succeeded" else _emptied(row) for row in status.stages]
        status = next_status(case, Outcome(rows=rows, blocker=Blocker("Suspended", "Deleting", _DELETING)))
    deletes = _unwanted(case.world.jobs, "")
    return Decision(status, deletes=deletes, pods=_kept_pods(case.world, deletes))


def _emptied(row: StageStatus) -> StageStatus:
    """The row of a stage that stops for good."""
    return row.model_copy(update={"phase": "Pending", "job": "", "reason": "Deleting", "message": _DELETING})


def _verdict(case: Case, snapshot: Snapshot) -> Verdict | None:
    """The gate's verdict, once the stage that it judges is done.

    It is computed at each look, so a changed gate runs nothing.
    """
    stage = next(stage for stage in snapshot.stages if stage.name == JUDGED)
    rows = {(row.name, row.key): row for row in case.old.stages}
    key = (stage.name, stage.key)
    if not is_done(stage, case.finished, snapshot, rows.get(key), case.done_jobs):
        return None
    return judge(snapshot.spec.evaluation.gate, case.finished[key].metrics)


@dataclass(frozen=True)
class _Start:
    """Whether the current stage starts: its row, and the Job to create or what blocks it."""

    blocker: Blocker | None
    row: StageStatus | None = None
    job: Object | None = None


def _start(case: Case, accepted: Acceptance, snapshot_map: SnapshotMap, step: Step) -> _Start:
    """Decides whether the current stage starts now."""
    blocker = accepted.blocker or blocker_of(case, snapshot_map.snapshot, step)
    job: Object | None = None
    if step.start and blocker is None:
        job, blocker = next_job(case, snapshot_map, step.row)
    if job is not None:
        return _Start(blocker, named(step.row, job, case.world.failed_to_create), job)
    if blocker is not None and step.row.phase == "Pending":
        return _Start(blocker, blocked(step.row, blocker))
    return _Start(blocker, step.row)


def _created(case: Case, snapshot_map: SnapshotMap, job: Object | None) -> tuple[Object, ...]:
    """The objects to create: the snapshot's ConfigMap, if this is a new one, and the stage's Job."""
    is_new = snapshot_map is not case.world.snapshot
    config_maps = [snapshots.config_map(case.who, snapshot_map, case.config.version)] if is_new else []
    jobs = [job] if job is not None else []
    return (*config_maps, *jobs)


def _unwanted(jobs: Sequence[Object], wanted: str) -> tuple[Delete, ...]:
    """Every Job that may still work, except for the wanted one."""
    return tuple(
        Delete(name_of(job), uid_of(job))
        for job in jobs
        if objects.unfinished(job) and not objects.terminating(job) and name_of(job) != wanted
    )


def _kept_pods(world: World, deletes: Sequence[Delete]) -> tuple[Delete, ...]:
    """The pods of Jobs that go whose stage is over, and which others keep alive: a GPU may hang on them."""
    return tuple(
        Delete(name_of(pod), uid_of(pod))
        for job in deletes
        for pod in objects.pods_of(job.name, world.pods)
        if objects.alive(pod) and objects.exit_code(pod) is not None and not objects.terminating(pod)
    )


def _requeue_after(world: World, status: Status, step: Step | None, blocker: Blocker | None) -> float | None:
    """Seconds after which to look again even if nothing is reported."""
    if blocker is not None:
        # What else blocks ends by an edit, by another request or by a turn, each of which asks for a look.
        return _LOOK_AGAIN if blocker.reason == "Stopping" else None
    if step is None or status.phase in FINAL:
        return None
    return _LOOK_AGAIN if world.failed_to_create else step.again


def _expired(case: Case, decision: Decision, snapshot: Snapshot) -> Decision:
    """Adds what `ttlSecondsAfterFinished` deletes: the Jobs, and the request itself if it asks for that."""
    ttl = snapshot.spec.ttl_seconds_after_finished
    ended = objects.read_time(decision.status.completion_time)
    if ttl is None or ended is None:
        return decision
    left = ttl - (case.now - ended).total_seconds()
    if left > 0:
        return replace(decision, requeue_after=min(left, _LONGEST))
    expired = [job for job in case.world.jobs if not objects.terminating(job)]
    return replace(
        decision,
        deletes=tuple(Delete(name_of(job), uid_of(job)) for job in expired),
        delete_request=snapshot.spec.delete_when_expired,
    )


def _counted(decision: Decision, world: World) -> Decision:
    """Adds what admission counts."""
    live = {name_of(job): job for job in world.jobs if objects.unfinished(job)}
    live |= {name_of(item): item for item in decision.creates if item["kind"] == "Job"}
    return replace(
        decision,
        at_work=bool(live) or any(map(objects.alive, world.pods)) or holds_a_place(decision.status),
        gpu=any(gpus(job) > 0 for job in live.values()),
        generating=any(map(objects.asks_teacher, live.values())),
    )
