"""The Job of the current stage: when it is out of date, the one to create, and what its pods are told.

Its content is built in `pods`.
"""

from tunesmith import wire
from tunesmith.errors import BadRequest
from tunesmith.status import StageStatus
from tunesmith.wire import WAITING_FOR_GPU
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Object, Share, SnapshotMap, World
from tunesmith_controller.decide.objects import name_of, uid_of
from tunesmith_controller.decide.pods import build_job, gpus, template_hash
from tunesmith_controller.decide.reconcile.blocker import Blocker
from tunesmith_controller.decide.reconcile.case import Case


def is_outdated(case: Case, snapshot_map: SnapshotMap, job: Object) -> bool:
    """Whether a Job would be built differently today."""
    if objects.generation_of(job) >= case.who.generation:
        return False
    if objects.annotation(job, wire.RETRY) != snapshot_map.snapshot.spec.retry:
        return True
    today = _built(case, snapshot_map, objects.stage_of(job), objects.attempt_of(job))
    if job["spec"].get("backoffLimit") != today["spec"]["backoffLimit"]:
        return True
    return objects.annotation(job, wire.TEMPLATE) != template_hash(today)


def next_job(case: Case, snapshot_map: SnapshotMap, row: StageStatus) -> tuple[Object | None, Blocker | None]:
    """The Job to create, of the attempt that the row names, or else of the next one. Or what blocks it."""
    turn = case.world.turn
    attempt = row.attempt if row.job else row.attempt + 1
    try:
        job = _built(case, snapshot_map, row.name, attempt)
    except BadRequest as error:
        return None, Blocker("Failed", error.reason, str(error), refused=True)
    if gpus(job) and not turn.gpu:
        message = f"{row.name} waits for a GPU: {turn.gpu_why}"
        return None, Blocker("Queued", WAITING_FOR_GPU, message)
    return job, None


def shares(world: World, job: str) -> tuple[Share, ...]:
    """The pods of a Job whose share of the teacher's requests has changed since they were told."""
    rate = world.turn.teacher_rate
    live = [
        pod for pod in objects.pods_of(job, world.pods) if objects.alive(pod) and not objects.terminating(pod)
    ]
    return tuple(
        Share(name_of(pod), uid_of(pod), rate)
        for pod in live
        if objects.annotation(pod, wire.TEACHER_RATE) not in ("", str(rate))
    )


def _built(case: Case, snapshot_map: SnapshotMap, stage: str, attempt: int) -> Object:
    job = build_job(
        case.world.request,
        stage,
        attempt,
        snapshot_map,
        teacher_rate=case.world.turn.teacher_rate,
        base_bytes=_base_bytes(case, snapshot_map),
        version=case.config.version,
    )
    meta = job["metadata"]
    annotations = (meta.get("annotations") or {}) | {
        wire.GENERATION: str(case.who.generation),
        wire.RETRY: snapshot_map.snapshot.spec.retry,
    }
    return job | {"metadata": meta | {"annotations": annotations}}


def _base_bytes(case: Case, snapshot_map: SnapshotMap) -> int:
    """Size of the base model, as the latest finished stage of this snapshot measured it; 0 if none has."""
    present = {(stage.name, stage.key) for stage in snapshot_map.snapshot.stages}
    sizes = [
        entry.metrics["baseBytes"]
        for key, entry in case.finished.items()
        if key in present and "baseBytes" in entry.metrics
    ]
    return int(sizes[-1]) if sizes else 0
