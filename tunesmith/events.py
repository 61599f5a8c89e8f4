"""What a stage prints for programs, between log lines for people: progress and its result, as JSON.

Such a line is a JSON object whose first member is `event`, from the very first character of the line on. The
runner draws progress bars from these lines, and the controller reads them at the end of a pod's log. The
result also goes to the container's termination message. No other line of a stage begins with `{`
(tunesmith_jobs/output.py), and nothing but a newline ends a line: not \\r, and not what Unicode calls one.

A pod can print what it likes, so the bounds here are those of what a status can hold.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from tunesmith.settings import LARGEST

TERMINATION_MESSAGE_BYTES = 4096  # the kubelet cuts a longer one, and what is cut cannot be parsed
PROGRESS_SECONDS = 1.0  # least time between two progress lines of a stage
_FIRST = '{"event":'
Word = Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
_LONGEST = 65_536  # characters of a line; ours have some hundreds


class _Event(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    def line(self) -> str:
        """The event as one line of JSON, without the newline."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


class Progress(_Event):
    """How far a stage has come.

    `eta` is in seconds. `metrics` holds figures by name, including `loss` where there is one.
    """

    event: Literal["progress"] = "progress"
    stage: Word
    done: Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
    total: Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
    unit: Word
    phase: Word = ""
    eta: float | None = None
    metrics: dict[str, float] = Field(default_factory=dict)


class Result(_Event):
    """How a stage ended: the last line for programs that its process prints."""

    event: Literal["result"] = "result"
    stage: str
    key: str
    attempt: str = ""
    exit_code: int = 0
    reason: str = "Done"
    message: str = ""
    remedy: str = ""
    manifest: str = ""  # URL of the stage's manifest, if it is done
    adopted: bool = False  # an earlier attempt had committed the same key; nothing was computed
    # Later stages of this run that the store already holds: name -> key.
    done_keys: dict[str, str] = Field(default_factory=dict)
    # Metrics of evaluate, if it is among `done_keys`.
    evaluated: dict[str, float] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""  # what to know about the data that the run has read

    def termination_message(self) -> str:
        """The result in less than 4,096 bytes. Texts are cut first, then metrics dropped; it
        always parses.
        """
        slim = self
        changes: tuple[dict[str, object], ...] = (
            {"message": self.message[:1200], "remedy": self.remedy[:600], "note": self.note[:500]},
            {"message": self.message[:500], "remedy": self.remedy[:250]},
            {"metrics": {}, "note": ""},
            {"message": self.message[:200], "remedy": self.remedy[:100], "done_keys": {}, "evaluated": {}},
        )
        for change in changes:
            if len(slim.line().encode()) < TERMINATION_MESSAGE_BYTES:
                break
            slim = slim.model_copy(update=change)
        return slim.line()


_events: TypeAdapter[Progress | Result] = TypeAdapter(
    Annotated[Progress | Result, Field(discriminator="event")]
)


def parse(line: str) -> Progress | Result | None:
    """The event in a line of a stage's output; None for a line for people and for one that was cut off."""
    if not line.startswith(_FIRST) or len(line) > _LONGEST:
        return None
    try:
        return _events.validate_json(line)  # its parser refuses deep nesting and half characters
    except ValidationError:
        return None


def result_in(text: str) -> Result | None:
    """The last result in a stage's output: its termination message, or the end of its log; None if it holds
    none.
    """
    for line in reversed(text.split("\n")):
        event = parse(line)
        if isinstance(event, Result):
            return event
    return None
