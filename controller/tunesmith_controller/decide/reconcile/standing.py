"""Whether a request is at work, as its status tells: what admission counts, also before anything was reconciled."""

from tunesmith.status import Status
from tunesmith.wire import WAITING_FOR_GPU

# A request that waits for a GPU between two stages keeps its place; a suspended, refused or finished one has none.
_PHASES = ("Pending", "Queued", "Running")
_HOLDING = (WAITING_FOR_GPU,)


def holds_a_place(status: Status) -> bool:
    """Whether a request counts as at work though it may have no Job at this moment."""
    if status.phase not in _PHASES:
        return False
    return has_a_job(status) or status.reason in _HOLDING


def has_a_job(status: Status) -> bool:
    """Whether a request has a Job, or is about to, whatever its phase: it may have been refused since."""
    return any(row.job and row.phase in ("Pending", "Running", "Stopping") for row in status.stages)
