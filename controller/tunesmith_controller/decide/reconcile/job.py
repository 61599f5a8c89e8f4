"""The Job of the stage at work: when one is out of date, the one to make, what its pods are told. Pure; what is in it is in pods."""

from tunesmith import wire
from tunesmith.errors import BadRequest
from tunesmith.request import StageSettings
from tunesmith.resolve import StageKey
from tunesmith.status import StageStatus
from tunesmith.wire import GENERATION, RETRY, TEACHER_RATE, WAITING_FOR_GPU
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Config, Object, Share, SnapshotMap, World
from tunesmith_controller.decide.objects import Identity, name_of
from tunesmith_controller.decide.pods import build_job, gpus, template_hash
from tunesmith_controller.decide.reconcile.finished import Finished
from tunesmith_controller.decide.reconcile.stages import Wish
from tunesmith_controller.decide.reconcile.status import Blocker


def wish_of(
    stage: StageKey,
    who: Identity,
    world: World,
    held: SnapshotMap,
    done: Finished,
    config: Config,
    *,
    suspend: bool,
) -> Wish:
    """What the request asks of a stage."""

    def outdated(job: Object) -> bool:
        if objects.generation_of(job) >= who.generation:
            return False
        if objects.annotation(job, RETRY) != held.snapshot.spec.retry:
            return True
        wanted = _built(world, who, stage, objects.attempt_of(job), held, done, config)
        if job["spec"].get("backoffLimit") != wanted["spec"]["backoffLimit"]:
            return True
        return objects.annotation(job, wire.TEMPLATE) != template_hash(wanted)

    settings: StageSettings = getattr(held.snapshot.spec.stages, stage.name)
    return Wish(suspend=suspend, outdated=outdated, deadline=settings.active_deadline_seconds)


def next_job(
    world: World,
    who: Identity,
    stage: StageKey,
    row: StageStatus,
    held: SnapshotMap,
    done: Finished,
    config: Config,
) -> tuple[Object | None, Blocker | None]:
    """The Job to make: of the attempt that the row names, else of the next one. Or why there is none."""
    attempt = row.attempt if row.job else row.attempt + 1
    try:
        job = _built(world, who, stage, attempt, held, done, config)
    except BadRequest as error:
        return None, Blocker("Failed", error.reason, str(error), refused=True)
    if gpus(job) and not world.turn.gpu:
        return None, Blocker("Queued", WAITING_FOR_GPU, f"{stage.name} waits for a GPU: {world.turn.gpu_why}")
    return job, None


def named(row: StageStatus, job: Object, trouble: str) -> StageStatus:
    """The row with the Job that is about to be made."""
    return row.model_copy(
        update={
            "job": name_of(job),
            "attempt": objects.attempt_of(job) or row.attempt,
            "phase": "Pending",
            "reason": "FailedToCreate" if trouble else "Starting",
            "message": f"Job {name_of(job)} cannot be made: {trouble}"
            if trouble
            else f"waiting for the pod of Job {name_of(job)} to start",
        }
    )


def shares(world: World, job: str) -> tuple[Share, ...]:
    """The pods of a Job that were told another share of the teacher's requests than is theirs now."""
    rate = world.turn.teacher_rate
    return tuple(
        Share(name_of(pod), str(pod["metadata"]["uid"]), rate)
        for pod in objects.pods_of(job, world.pods)
        if objects.alive(pod)
        and not objects.terminating(pod)
        and objects.annotation(pod, TEACHER_RATE) not in ("", str(rate))
    )


def _built(
    world: World,
    who: Identity,
    stage: StageKey,
    attempt: int,
    held: SnapshotMap,
    done: Finished,
    config: Config,
) -> Object:
    present = {(entry.name, entry.key) for entry in held.snapshot.stages}
    sizes = [
        entry.metrics["baseBytes"]
        for key, entry in done.items()
        if key in present and "baseBytes" in entry.metrics
    ]
    job = build_job(
        world.request,
        stage.name,
        attempt,
        held,
        teacher_rate=world.turn.teacher_rate if stage.name == "generate" else 0,
        base_bytes=int(sizes[-1]) if sizes else 0,
        version=config.version,
    )
    meta = job["metadata"]
    made_for = {GENERATION: str(who.generation), RETRY: held.snapshot.spec.retry}
    return job | {"metadata": meta | {"annotations": (meta.get("annotations") or {}) | made_for}}
