"""What a change of a request would run: the result of a dry run, on this machine and on a cluster."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from tunesmith.changes import Change


class StageForecast(NamedTuple):
    """A stage. `key`: empty where only the controller can tell it."""

    name: str
    key: str
    would: Literal["run", "reuse"]


@dataclass(frozen=True)
class Forecast:
    """The stages, and the fields that the change edits, each with the first stage whose key it moves."""

    stages: tuple[StageForecast, ...]
    edits: tuple[Change, ...] = ()
