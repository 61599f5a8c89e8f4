"""The report as data: `report.json`, which the page only shows. Pure.

It holds the texts of the teacher and of the models as they are: code that shows them must escape them.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel

from tunesmith.manifest import File, Pin
from tunesmith.resolve import BUILT_IN

FORMAT = 1


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class Figure(_Part):
    """One metric of both models, in its unit. `low`, `high`: the ends of the gain's 95 % interval."""

    metric: str
    base: float
    merged: float
    gain: float
    low: float | None
    high: float | None
    rows: int


class Answer(_Part):
    """What both models answered.

    `expected` and the marks are there for test rows only.
    `wrongFormBase`, `wrongFormMerged`: what is wrong with the form; empty if nothing is.
    `lossBase`, `lossMerged`: of the expected answer, in nats per token.
    """

    kind: str  # "test", or "prompt" for the request's own prompts
    id: str
    prompt: str
    history: tuple[dict[str, str], ...] = ()
    system: str | None = None
    expected: str | None = None
    base: str
    merged: str
    exact_base: bool | None = None
    exact_merged: bool | None = None
    wrong_form_base: str | None = None
    wrong_form_merged: str | None = None
    loss_base: float | None = None
    loss_merged: float | None = None


class Setting(_Part):
    """A value of the resolved request, and where it came from."""

    path: str
    value: JsonValue
    source: str

    @property
    def built_in(self) -> bool:
        """Whether nobody set it."""
        return self.source == BUILT_IN


class StageFacts(_Part):
    """What a stage took, and where its result is."""

    name: str
    key: str
    attempt: str
    seconds: float
    bytes: int
    created: datetime | None
    versions: dict[str, str]


class Teacher(_Part):
    """Who wrote the examples, and what that cost.

    `name` is empty if no teacher was asked; `usd` is None where the price is not known.
    """

    name: str = ""
    scripted: bool = False
    endpoint: str = ""
    origin: str = ""
    usd: float | None = None
    calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None


class Report(_Part):
    """Everything the page shows."""

    format: int = FORMAT
    name: str
    run: str
    namespace: str
    created: datetime
    task: str
    system_message: str
    level: str
    lead: str
    detail: str
    notes: tuple[str, ...]
    figures: tuple[Figure, ...]
    answers: tuple[Answer, ...]
    curve: tuple[dict[str, float], ...]
    data: dict[str, JsonValue]
    teacher: Teacher
    training: dict[str, JsonValue]
    merge: dict[str, JsonValue]
    settings: tuple[Setting, ...]
    stages: tuple[StageFacts, ...]
    pins: dict[str, Pin]
    model_files: tuple[File, ...]
    device: str
    max_new_tokens: int

    def to_bytes(self) -> bytes:
        """report.json."""
        return (self.model_dump_json(by_alias=True, indent=1) + "\n").encode()

    def figure(self, metric: str) -> Figure | None:
        """The figure of a metric, if it was measured."""
        return next((figure for figure in self.figures if figure.metric == metric), None)
