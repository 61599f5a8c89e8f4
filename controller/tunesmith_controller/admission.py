"""Who may be at work: limits of a profile, in total and per namespace; round-robin over namespaces, the oldest first within. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.profile import Limits
from tunesmith_controller.model import Turn


@dataclass(frozen=True)
class Candidate:
    """A request that is not finished, as far as admission is concerned. `created`: RFC 3339, which sorts by time."""

    uid: str
    namespace: str
    name: str
    profile: str
    created: str
    at_work: bool = False
    gpu: bool = False  # has a live Job with a GPU
    generating: bool = False  # has a live generate Job


def turns(candidates: Sequence[Candidate], limits: Mapping[str, Limits]) -> dict[str, Turn]:
    """For each candidate's uid: whether it may be at work, else its place in the queue of its profile; and its share of the teacher."""
    raise NotImplementedError(candidates, limits)
