"""Why a stage does not get on, or has failed: the most actionable cause first. Pure; an ordered table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tunesmith_controller.model import Event, Object


@dataclass(frozen=True)
class Finding:
    """What happened, in which pod, and what to do. `final`: no further try of this attempt can help."""

    reason: str
    message: str
    remedy: str
    pod: str = ""
    final: bool = False


def classify(job: Object, pods: Sequence[Object], events: Mapping[str, Sequence[Event]], now: datetime, *, stage: str) -> Finding | None:
    """The cause that helps most, of a Job that has failed or whose pod does not run; None if it gets on. `events`: by uid."""
    raise NotImplementedError(job, pods, events, now, stage)
