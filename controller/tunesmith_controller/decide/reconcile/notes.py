"""The Kubernetes Events about a request: what a person would look into, and the end.

They are few, since each is a write and the API server keeps them for an hour only. What the status keeps
needs none: which stage runs in which pod, when each one started and ended, the place in the queue.
"""

from collections.abc import Iterator

from tunesmith.status import StageStatus, Status
from tunesmith_controller.decide.model import Note


def notes(old: Status, new: Status, lost: str = "") -> tuple[Note, ...]:
    """The Events for the step from one status to the next. `lost`: a Job that vanished while it ran."""
    return tuple(_notes(old, new, lost))


def _notes(old: Status, new: Status, lost: str) -> Iterator[Note]:
    if lost:
        message = f"Job {lost} was deleted while it ran; the stage gets another attempt"
        yield Note("Warning", "JobLost", message)
    before = {(row.name, row.key): row for row in old.stages}
    for row in new.stages:
        yield from _of_stage(before.get((row.name, row.key)), row)
    if new.phase != old.phase or new.reason != old.reason:
        yield from _of_request(old, new)


def _of_stage(old: StageStatus | None, row: StageStatus) -> Iterator[Note]:
    if old is not None and old.phase == row.phase:
        return
    if row.phase == "Stopping":
        yield Note("Normal", "StageStopping", f"{row.name}: {row.message}")
    elif row.phase == "Failed":
        yield Note("Warning", row.reason, f"{row.name}: {row.message}")


def _of_request(old: Status, new: Status) -> Iterator[Note]:
    if new.phase == "Succeeded":
        yield Note("Normal", "Complete", new.message)
    elif new.phase == "Failed":
        if not any(row.phase == "Failed" for row in new.stages):  # otherwise the stage has a note of its own
            yield Note("Warning", new.reason, new.message)
    elif new.phase == "Suspended" and old.phase != "Suspended":
        yield Note("Normal", "Suspended", new.message)
    elif old.phase == "Suspended":
        yield Note("Normal", "Resumed", "no longer suspended")
    elif new.phase == "Pending" and new.reason not in ("Starting", "Stopping") and new.reason != old.reason:
        yield Note("Warning", new.reason, new.message)
