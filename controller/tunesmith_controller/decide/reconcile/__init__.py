"""The decision about one request. Pure: everything it looks at is an argument, everything it wants is in the Decision.

Read `reconcile` from top to bottom. What is in the other files: objects (what Kubernetes' objects show), accept and snapshots (what
the request asks for), finished and stages (where its stages are), holds (what keeps the next one back), making (its Job), outlook (the
status), notes (the Events), standing (what admission counts).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tunesmith.gate import Verdict, judge
from tunesmith.request import TrainingRequest
from tunesmith.resolve import Snapshot, StageKey
from tunesmith.status import StageStatus, Status
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Config, Decision, Delete, Object, SnapshotMap, World
from tunesmith_controller.decide.objects import Identity, name_of
from tunesmith_controller.decide.pods import gpus
from tunesmith_controller.decide.reconcile import accept, snapshots
from tunesmith_controller.decide.reconcile.accept import NotAccepted, Waiting
from tunesmith_controller.decide.reconcile.blocker import hold_of
from tunesmith_controller.decide.reconcile.finished import Finished, finished, is_done, remembered
from tunesmith_controller.decide.reconcile.job import named, next_job, shares, wish_of
from tunesmith_controller.decide.reconcile.notes import notes
from tunesmith_controller.decide.reconcile.snapshots import read_map
from tunesmith_controller.decide.reconcile.stages import Step, Wish, advance, later, succeeded
from tunesmith_controller.decide.reconcile.standing import holds_a_place
from tunesmith_controller.decide.reconcile.status import FINAL, Blocker, Outcome, folder, next_status

__all__ = ["read_map", "reconcile"]

_LOOK_AGAIN = 30.0  # seconds, while a request waits for something that no watch of its own tells of


def reconcile(world: World, now: datetime, config: Config) -> Decision:
    """What to do about a request, given what is."""
    who = objects.identity(world.request)
    old = objects.read_status(world.request)
    if who.deleted:  # its children go with it, by their owner reference
        return _flagged(Decision(old), world)
    done = finished(old, world.jobs, world.pods)
    request, held, hold = _accepted(who, world, old, done, config)
    suspend = (world.request.get("spec") or {}).get("suspend") is True
    if suspend and hold is not None and not hold.refused:
        hold = Blocker("Suspended", "Suspended", "suspended: set spec.suspend to false", outdated=True)
    if held is None:
        return _nothing_yet(who, world, old, done, hold, now, suspend=suspend)

    store = held.frozen.profile.store.of(who.namespace)
    verdict = _verdict(held.snapshot, old, done, world.jobs)

    def wish(stage: StageKey) -> Wish:
        return wish_of(stage, who, world, held, done, config, suspend=suspend)

    rows, current, step = _walk(who, world, old, done, held, store, verdict, wish, now)
    deletes = _unwanted(world.jobs, step.wanted if step else "")
    creates: list[Object] = (
        [snapshots.config_map(who, held, config.version)] if held is not world.snapshot else []
    )
    if current is not None and step is not None:
        hold = hold or hold_of(request, held.snapshot, step, world, suspend=suspend)
        job: Object | None = None
        if step.start and hold is None:
            job, hold = next_job(world, who, current, step.row, held, done, config)
        row = step.row
        if job is not None:
            creates.append(job)
            row = named(row, job, world.failed_to_create)
        elif hold is not None and row.phase == "Pending":
            row = row.model_copy(update={"reason": hold.reason, "message": hold.message})
        rows = [row if one.name == row.name else one for one in rows]

    seen = Outcome(
        rows=rows,
        current=current.name if current else "",
        hold=hold,
        verdict=verdict,
        snapshot=held.snapshot,
        snapshot_name=held.name,
        store=store,
        place=world.turn.place,
    )
    status = next_status(who, old, seen, now).model_copy(update={"finished": remembered(done, held.snapshot)})
    decision = Decision(
        status,
        deletes=deletes,
        creates=tuple(creates),
        shares=shares(world, step.wanted) if step else (),
        notes=notes(old, status, step.lost if step else ""),
        requeue_after=_again(status, step, hold, world),
    )
    return _flagged(_expired(decision, world, held.snapshot, now), world)


def _accepted(
    who: Identity, world: World, old: Status, done: Finished, config: Config
) -> tuple[TrainingRequest | None, SnapshotMap | None, Blocker | None]:
    """The request, and its present snapshot; or the one before it, and why there is no new one."""
    request: TrainingRequest | None = None
    before = world.snapshot
    try:
        request = accept.read(world.request)
        if before is not None and before.frozen.generation == who.generation:
            return request, before, None  # it was judged when the snapshot was made
        frozen = before.frozen if before else None
        profile = accept.known(snapshots.profile_for(request, frozen, config), request, config)
        accept.allowed(request, snapshots.with_todays_rules(profile, config), config)
        held = snapshots.freeze(who, request, profile, world.others)
        if done or any(row.attempt for row in old.stages):
            accept.same_run(held.snapshot.run, old.run)
            accept.same_store(profile.store.of(who.namespace), old.store)
        return request, held, None
    except NotAccepted as error:
        return request, before, Blocker("Failed", error.reason, str(error), refused=True)
    except Waiting as error:
        return request, before, Blocker("Pending", error.reason, error.message, outdated=True)


def _nothing_yet(
    who: Identity,
    world: World,
    old: Status,
    done: Finished,
    hold: Blocker | None,
    now: datetime,
    *,
    suspend: bool,
) -> Decision:
    """The decision of a request that has no snapshot: it was refused, or waits for another one."""
    seen = Outcome(rows=old.stages, hold=hold)
    status = next_status(who, old, seen, now).model_copy(update={"finished": remembered(done, None)})
    deletes = _unwanted(world.jobs, "") if suspend else ()
    return _flagged(
        Decision(status, deletes=deletes, notes=notes(old, status), requeue_after=_LOOK_AGAIN), world
    )


def _walk(
    who: Identity,
    world: World,
    old: Status,
    done: Finished,
    held: SnapshotMap,
    store: str,
    verdict: Verdict | None,
    wish: Callable[[StageKey], Wish],
    now: datetime,
) -> tuple[list[StageStatus], StageKey | None, Step | None]:
    """A row for each stage; the first that is not done is the one at work, and how it gets on."""
    before = {(row.name, row.key): row for row in old.stages}
    rows: list[StageStatus] = []
    current: StageKey | None = None
    step: Step | None = None
    stopped = verdict is not None and not verdict.passed
    for stage in held.snapshot.stages:
        row = before.get((stage.name, stage.key))
        if current is None and is_done(stage, done, held.snapshot, row, world.jobs):
            output = folder(store, held.snapshot.run, stage.name, stage.key)
            rows.append(succeeded(stage, row, done[stage.name, stage.key], output))
        elif current is None and not (stopped and stage.name == "deliver"):
            current = stage
            step = advance(stage, row, who, world, wish(stage), now)
            rows.append(step.row)
        else:
            rows.append(later(stage, row))
    return rows, current, step


def _verdict(snapshot: Snapshot, old: Status, done: Finished, jobs: Sequence[Object]) -> Verdict | None:
    """What the gate says, once evaluate is done. Judged every time, so another gate runs nothing."""
    stage = next(stage for stage in snapshot.stages if stage.name == "evaluate")
    row = next((row for row in old.stages if (row.name, row.key) == (stage.name, stage.key)), None)
    if not is_done(stage, done, snapshot, row, jobs):
        return None
    return judge(snapshot.spec.evaluation.gate, done[stage.name, stage.key].metrics)


def _unwanted(jobs: Sequence[Object], wanted: str) -> tuple[Delete, ...]:
    """Every Job that may still work, but the one that shall."""
    return tuple(
        Delete(name_of(job), str(job["metadata"]["uid"]))
        for job in jobs
        if objects.unfinished(job) and not objects.terminating(job) and name_of(job) != wanted
    )


def _again(status: Status, step: Step | None, hold: Blocker | None, world: World) -> float | None:
    """Seconds after which to look again without being told to."""
    if hold is not None and hold.reason != "Suspended":
        return _LOOK_AGAIN
    if step is None or status.phase in FINAL:
        return None
    return _LOOK_AGAIN if world.failed_to_create else step.again


def _expired(decision: Decision, world: World, snapshot: Snapshot, now: datetime) -> Decision:
    """After `ttlSecondsAfterFinished` the Jobs go, and only if asked for the request itself."""
    ttl, ended = snapshot.spec.ttl_seconds_after_finished, objects.read_time(decision.status.completion_time)
    if ttl is None or ended is None:
        return decision
    left = (ended + timedelta(seconds=ttl) - now).total_seconds()
    if left > 0:
        return replace(decision, requeue_after=left)
    gone = tuple(
        Delete(name_of(job), str(job["metadata"]["uid"]))
        for job in world.jobs
        if not objects.terminating(job)
    )
    return replace(decision, deletes=gone, delete_request=snapshot.spec.delete_when_expired)


def _flagged(decision: Decision, world: World) -> Decision:
    """The decision with what admission counts."""
    live = {name_of(job): job for job in world.jobs if objects.unfinished(job)}
    live |= {name_of(one): one for one in decision.creates if one["kind"] == "Job"}
    return replace(
        decision,
        at_work=bool(live) or any(map(objects.alive, world.pods)) or holds_a_place(decision.status),
        gpu=any(gpus(job) > 0 for job in live.values()),
        generating=any(objects.stage_of(job) == "generate" for job in live.values()),
    )
