"""What is asked of all requests at once, without reading each: who has ended, who works, on which run.

Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.status import Status
from tunesmith.wire import WAITING_FOR_GPU
from tunesmith_controller.decide.model import Object, Other
from tunesmith_controller.decide.objects import (
    created,
    is_current,
    name_of,
    namespace_of,
    profile_of,
    referenced,
    run_of,
    status_of,
    uid_of,
)

_ENDED = ("Succeeded", "Failed")
_RESTS = (*_ENDED, "Suspended")


@dataclass(frozen=True, slots=True)
class Standing:
    """A request as the others see it.

    `created`: RFC 3339, which sorts by time; `run`: the one that it works on; `current`: its status is about
    the present generation; `works`: it has a Job, or is about to; `waits_for_gpu`: a limit holds a stage
    back; `other`: what one that reads from it needs.
    """

    uid: str
    namespace: str
    name: str
    created: str
    profile: str
    run: str
    phase: str
    current: bool
    works: bool
    waits_for_gpu: bool
    other: Other

    @property
    def rests(self) -> bool:
        """Whether nothing is to be done for its present generation."""
        return self.current and self.phase in _RESTS

    @property
    def ended(self) -> bool:
        """Whether its present generation has succeeded or failed."""
        return self.current and self.phase in _ENDED

    @property
    def holds_a_place(self) -> bool:
        """Whether it counts as running, though it may have no Job at this moment."""
        return _holds(self.phase, works=self.works, waits_for_gpu=self.waits_for_gpu)

    @property
    def age(self) -> tuple[str, str]:
        """Sorts the oldest first."""
        return self.created, self.uid


def standing(request: Object) -> Standing:
    """How a request stands, as its status says."""
    status = status_of(request)
    rows: list[Mapping[str, Any]] = list(status.get("stages") or ())
    return Standing(
        uid=uid_of(request),
        namespace=namespace_of(request),
        name=name_of(request),
        created=created(request),
        profile=profile_of(request),
        run=run_of(request),
        phase=str(status.get("phase") or "Pending"),
        current=is_current(request),
        works=_works((row.get("job"), row.get("phase")) for row in rows),
        waits_for_gpu=status.get("reason") == WAITING_FOR_GPU,
        other=_other(request, rows),
    )


def holds_a_place(status: Status) -> bool:
    """Whether a request with this status counts as running, though it may have no Job at this moment."""
    works = _works((row.job, row.phase) for row in status.stages)
    return _holds(status.phase, works=works, waits_for_gpu=status.reason == WAITING_FOR_GPU)


def _works(rows: Iterable[tuple[str | None, str | None]]) -> bool:
    """Whether one of the rows (Job, phase) has a Job, or is about to, whatever the request's phase."""
    return any(job and phase in ("Pending", "Running", "Stopping") for job, phase in rows)


def _holds(phase: str, *, works: bool, waits_for_gpu: bool) -> bool:
    """A suspended, refused or finished request holds none.

    One that waits for a GPU between two stages keeps its place.
    """
    return phase in ("Pending", "Queued", "Running") and (works or waits_for_gpu)


def _other(request: Object, rows: Iterable[Mapping[str, Any]]) -> Other:
    status = status_of(request)
    run = str(status.get("run") or "")
    if not is_current(request):
        return Other(run=run, reads=tuple(referenced(request)))
    done = tuple(str(row.get("name")) for row in rows if row.get("phase") == "Succeeded")
    reads = tuple((name, stage) for name, stage in referenced(request) if stage not in done)
    return Other(run=run, finished=done, failed=status.get("phase") == "Failed", reads=reads)
