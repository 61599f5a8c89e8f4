"""What happens in a run, as the runner tells it: to the screen, and as lines of `events.jsonl`, which a
second runner follows.

A stage's own progress and result (tunesmith.events) pass through as they are.
"""

import json
import time
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tunesmith import events
from tunesmith.errors import ExitCode
from tunesmith.events import Progress, Result


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    time: float = Field(default_factory=time.time)  # seconds since 1970


class Begun(_Event):
    """A runner took up the run.

    `reused`: stages whose result is in the store already; `changes`: what an edit moved; `estimate`: what the
    teacher will take, if it is to be asked.
    """

    event: Literal["begun"] = "begun"
    run: str
    store: str
    pid: int
    keys: dict[str, str]
    reused: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    estimate: tuple[str, ...] = ()


class Started(_Event):
    """A stage's process started. `attempt`: 1, 2, … in this runner."""

    event: Literal["started"] = "started"
    stage: str
    attempt: int


class Line(_Event):
    """A line that a stage printed for people. Kept in the stage's log, not in `events.jsonl`."""

    event: Literal["line"] = "line"
    stage: str
    text: str


class Note(_Event):
    """A message of the runner, such as about a retry or a stop."""

    event: Literal["note"] = "note"
    text: str


class Ended(_Event):
    """The runner has ended. `stage`: the one that failed or was stopped; `tail`: its last lines."""

    event: Literal["ended"] = "ended"
    exit_code: int
    reason: str = "Done"
    message: str = ""
    remedy: str = ""
    stage: str = ""
    log: str = ""
    tail: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether everything that was asked is done."""
        return self.exit_code == ExitCode.DONE


Own = Begun | Started | Line | Note | Ended
Event = Own | Progress | Result
Listener = Callable[[Event], None]
_own: TypeAdapter[Own] = TypeAdapter(Annotated[Own, Field(discriminator="event")])


def read_event(line: str) -> Event | None:
    """The event in a line of `events.jsonl`, or None for a line that is cut off."""
    if event := events.parse(line):
        return event
    try:
        return _own.validate_python(json.loads(line))
    except (ValueError, ValidationError):
        return None


def event_line(event: Event) -> str:
    """The event as a line, with its newline."""
    return event.model_dump_json(by_alias=True, exclude_none=True) + "\n"
