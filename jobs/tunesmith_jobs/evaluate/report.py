"""What the report says, as data: `report.json`, which the page only shows. Pure.

Texts from the teacher and from the models are in here as they are: whoever shows them escapes them.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel

from tunesmith.manifest import File, Manifest, Pin
from tunesmith.resolve import BUILT_IN, Snapshot, leaves
from tunesmith_jobs.evaluate.scoring import Comparison
from tunesmith_jobs.evaluate.verdict import Verdict

FORMAT = 1


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class Figure(_Part):
    """One measure of both models. Loss in nats per token, shares between 0 and 1; `low`, `high`: the gain's 95 % interval."""

    metric: str
    base: float
    merged: float
    gain: float
    low: float | None
    high: float | None
    rows: int


class Answer(_Part):
    """What both models said. `expected` and the marks are there for test rows; a `wrong…Form` is empty if the form is as wanted.

    `lossBase`, `lossMerged`: of the expected answer, nats per token.
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
    """What a stage took."""

    name: str
    key: str
    attempt: str
    seconds: float
    bytes: int
    created: datetime | None
    versions: dict[str, str]


class Teacher(_Part):
    """Who wrote the examples, and what it cost. `usd` is None where the price is not known; nobody was asked if `name` is empty."""

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
        """A measure by its name."""
        return next((figure for figure in self.figures if figure.metric == metric), None)


def figures(comparisons: Mapping[str, Comparison | None]) -> tuple[Figure, ...]:
    """The measures that there are."""
    return tuple(
        Figure(
            metric=name,
            base=one.base,
            merged=one.merged,
            gain=one.gain.value,
            low=one.gain.low,
            high=one.gain.high,
            rows=one.gain.n,
        )
        for name, one in comparisons.items()
        if one is not None
    )


def settings(snapshot: Snapshot) -> tuple[Setting, ...]:
    """Every value of the resolved request: those that somebody set first."""
    filled = snapshot.spec.model_dump(mode="json", by_alias=True)
    paths = {".".join(path): value for path, value in leaves(filled)}
    found = [
        Setting(path=path, value=value, source=snapshot.provenance.get(path, BUILT_IN))
        for path, value in paths.items()
    ]
    return tuple(sorted((one for one in found if one.path != "task"), key=lambda one: one.built_in))


def stage_facts(manifest: Manifest) -> StageFacts:
    """A finished stage."""
    return StageFacts(
        name=manifest.stage,
        key=manifest.key,
        attempt=manifest.attempt,
        seconds=manifest.seconds,
        bytes=sum(file.size for file in manifest.files),
        created=manifest.created,
        versions=manifest.versions,
    )


def teacher_facts(
    card: Mapping[str, JsonValue], generated: Mapping[str, float], asked: Mapping[str, JsonValue]
) -> Teacher:
    """`card`: the dataset part of merge's model card; `generated`: generate's metrics; `asked`: the teacher part of its report."""

    def count(name: str) -> int | None:
        value = asked.get(name, generated.get(name))
        return int(value) if isinstance(value, int | float) else None

    usd = asked.get("usd", generated.get("usd"))
    return Teacher(
        name=str(card.get("teacher") or ""),
        scripted=bool(card.get("scripted")),
        endpoint=str(card.get("endpoint") or ""),
        origin=str(card.get("origin") or ""),
        usd=float(usd) if isinstance(usd, int | float) else None,
        calls=count("calls") or 0,
        input_tokens=count("inputTokens"),
        output_tokens=count("outputTokens"),
    )


def curve(history: bytes) -> tuple[dict[str, float], ...]:
    """Train's history: the numbers of each entry by name. Lines that are no objects are left out."""
    found = []
    for line in history.split(b"\n"):
        if not line.strip():
            continue
        entry = json.loads(line)
        if isinstance(entry, dict):
            found.append(
                {name: float(value) for name, value in entry.items() if isinstance(value, int | float)}
            )
    return tuple(found)


def points(entries: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """(step, value) of the entries that have a value."""
    return [(entry["step"], entry[name]) for entry in entries if name in entry and "step" in entry]


def spoken(verdict: Verdict) -> dict[str, JsonValue]:
    """The verdict for people, as the stage's manifest keeps it."""
    return {"level": verdict.level, "sentence": verdict.sentence, "notes": list(verdict.notes)}
