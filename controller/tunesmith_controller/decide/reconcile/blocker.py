"""What keeps a stage from being started, though it is next in its request."""

from dataclasses import dataclass

from tunesmith.plan import borrowed
from tunesmith.resolve import Snapshot
from tunesmith.stages import STAGES
from tunesmith.status import Phase, StageStatus
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.objects import name_of
from tunesmith_controller.decide.reconcile import rings
from tunesmith_controller.decide.reconcile.case import Case
from tunesmith_controller.decide.reconcile.rows import Step


@dataclass(frozen=True)
class Blocker:
    """Why nothing is started now.

    `refused`: the request itself is wrong; `outdated`: this generation has no snapshot yet.
    """

    phase: Phase
    reason: str
    message: str
    refused: bool = False
    outdated: bool = False


def blocker_of(case: Case, snapshot: Snapshot, step: Step) -> Blocker | None:
    """What keeps the current stage from being started; None if nothing does."""
    row = step.row
    world = case.world
    if row.phase == "Failed":
        return None
    if case.suspend:
        return Blocker("Suspended", "Suspended", _suspended(row))
    if not step.start:
        return None
    if leftover := _leftover(case, row.job):
        return Blocker("Pending", "Stopping", f"{row.name} waits until {leftover} is gone")
    if world.run_taken_by:
        message = (
            f"TrainingRequest {world.run_taken_by} works on the same run; this one starts when that has ended"
        )
        return Blocker("Pending", "RunTaken", message)
    waiting = _reference(case, snapshot, row.name)
    if waiting is not None:
        return waiting
    if world.turn.place and not row.job:
        return Blocker("Queued", "WaitingForTurn", f"place {world.turn.place} in the queue: {world.turn.why}")
    return None


def blocked(row: StageStatus, blocker: Blocker) -> StageStatus:
    """The row of a stage that waits, with what blocks it."""
    return row.model_copy(update={"reason": blocker.reason, "message": blocker.message})


def _suspended(row: StageStatus) -> str:
    if row.reason == "NodeLost":
        return f"suspended, but {row.name} has not ended: {row.message}"
    if row.phase == "Stopping":
        return f"suspended; {row.name} saves its state and ends"
    return "suspended: set spec.suspend to false"


def _leftover(case: Case, job: str) -> str:
    """Another Job or pod of the request that still works; empty if none does.

    `job`: the one that is to be started. A Job that has done its work is none, though its pod may live on.
    """
    world = case.world
    others = case.done_jobs | {job}
    for other in world.jobs:
        if objects.unfinished(other) and name_of(other) not in others:
            return f"Job {name_of(other)}"
    names = {name_of(pod) for other in others for pod in objects.pods_of(other, world.pods)}
    for pod in world.pods:
        if objects.alive(pod) and name_of(pod) not in names:
            return f"pod {name_of(pod)}"
    return ""


def _reference(case: Case, snapshot: Snapshot, stage: str) -> Blocker | None:
    """Whether a stage has to wait for the other request whose result it takes over."""
    frozen = borrowed(snapshot.spec)
    for name, taken_over in objects.referenced(case.world.request):
        if taken_over == stage:
            run = frozen[stage].run if stage in frozen else ""
            return _unfinished(case, name, stage, run)
    return None


def _unfinished(case: Case, name: str, stage: str, run: str) -> Blocker | None:
    """What another request lacks of the stage that this one takes over from its run."""
    world = case.world
    other = world.others.get(name)
    field = f"spec.{STAGES[stage].reference}"
    subject = f"{field}.request: TrainingRequest {name}"
    if other is None:
        return Blocker("Pending", "RequestNotFound", f"{subject} is gone; apply it again")
    if other.run != run:
        message = (
            f"{subject} was created again and has another run ({other.run or 'none yet'}). "
            "What to do: set spec.retry to a new value to take that run; "
            f"or replace the request's name by {field}.run: {run} to stay with the first one"
        )
        return Blocker("Pending", "RequestReplaced", message)
    if stage in other.finished:
        return None
    if other.failed:
        message = (
            f"{subject} failed before it had finished its stage {stage}; fix it, or name another request"
        )
        return Blocker("Pending", "RequestFailed", message)
    ring = rings.message((case.who.name, stage), name, world.others, f"{field}.request")
    return Blocker(
        "Pending", "WaitingForRequest", ring or f"{subject} has not finished its stage {stage} yet"
    )
