"""What keeps a stage from being started, though it is its turn in the request. Pure."""

from collections.abc import Mapping

from tunesmith.plan import references
from tunesmith.request import TrainingRequest
from tunesmith.resolve import Snapshot
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.model import Other, World
from tunesmith_controller.decide.objects import name_of
from tunesmith_controller.decide.reconcile import snapshots
from tunesmith_controller.decide.reconcile.stages import Step
from tunesmith_controller.decide.reconcile.status import Blocker


def hold_of(
    request: TrainingRequest | None, snapshot: Snapshot, step: Step, world: World, *, suspend: bool
) -> Blocker | None:
    """What keeps the stage at work from being started; None if nothing does."""
    row = step.row
    if row.phase == "Failed":
        return None
    if suspend:
        text = (
            f"suspended; {row.name} saves its state and ends"
            if row.phase == "Stopping"
            else "suspended: set spec.suspend to false"
        )
        if row.reason == "NodeLost":
            text = f"suspended, but {row.name} has not ended: {row.message}"
        return Blocker("Suspended", "Suspended", text)
    if not step.start:
        return None
    if others := _still_there(world, row.job):
        return Blocker("Pending", "Stopping", f"{row.name} waits until {others} is gone")
    if world.run_taken_by:
        message = f"TrainingRequest {world.run_taken_by} is at work on the same run; this one goes on when it has ended"
        return Blocker("Pending", "RunTaken", message)
    if request is not None and (waiting := _reference(request, row.name, world.others, snapshot)) is not None:
        return waiting
    if world.turn.place and not row.job:
        return Blocker("Queued", "WaitingForTurn", f"place {world.turn.place} in the queue: {world.turn.why}")
    return None


def _still_there(world: World, own: str) -> str:
    """A Job or pod of the request that still works beside the one that is to be started."""
    for job in world.jobs:
        if objects.unfinished(job) and name_of(job) != own:
            return f"Job {name_of(job)}"
    mine = {name_of(pod) for pod in objects.pods_of(own, world.pods)}
    return next(
        (f"pod {name_of(pod)}" for pod in world.pods if objects.alive(pod) and name_of(pod) not in mine), ""
    )


def _reference(
    request: TrainingRequest, stage: str, others: Mapping[str, Other], snapshot: Snapshot
) -> Blocker | None:
    """Waits for the stage of another request that this one reads."""
    frozen = {"generate": snapshot.spec.data.from_, "train": snapshot.spec.training.from_}
    for name, wanted in references(request.spec):
        other = others.get(name)
        taken = frozen[wanted]
        run = taken.run if taken else ""
        if wanted != stage or (other is not None and stage in other.finished and other.run == run):
            continue
        field = f"spec.{snapshots.FIELD_OF[wanted]}.from"
        where = f"{field}.request: TrainingRequest {name}"
        if other is None:
            return Blocker("Pending", "RequestNotFound", f"{where} is gone; apply it again")
        if other.run != run:
            remedy = f"a new spec.retry takes that one; {field}.run: {run}, in place of the request's name, stays with the first one"
            return Blocker(
                "Pending",
                "RequestReplaced",
                f"{where} was made again and has another run ({other.run or 'none yet'}). What to do: {remedy}",
            )
        if other.failed:
            return Blocker(
                "Pending",
                "RequestFailed",
                f"{where} has failed before its stage {stage} was done; mend it, or name another one",
            )
        return Blocker("Pending", "WaitingForRequest", f"{where} has not finished its stage {stage} yet")
    return None
