"""What the controller reports: `status` of a TrainingRequest."""

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tunesmith.plain_text import printable
from tunesmith.settings import LARGEST, Settings
from tunesmith.stages import StageCondition

Phase = Literal["Pending", "Queued", "Running", "Suspended", "Succeeded", "Failed"]
StagePhase = Literal["Pending", "Running", "Stopping", "Succeeded", "Failed"]
ConditionType = Literal["Accepted", StageCondition, "Complete", "Failed", "Reconciling", "Stalled"]


_FIGURES, _FIGURE_NAME = 100, 63  # how many a stage may report, and the length of a name


# What a cluster or a stage says has no bound, so what is beyond one is cut, never refused: the API server
# takes every status, and one that is stored can always be read. People read it by kubectl, which passes on
# much of what a terminal obeys.
def _cut_to(length: int) -> BeforeValidator:
    return BeforeValidator(lambda text: printable(text)[:length] if isinstance(text, str) else text)


def _few(figures: Any) -> Any:
    if not isinstance(figures, Mapping):
        return figures
    short = ((name, value) for name, value in figures.items() if len(name) <= _FIGURE_NAME)
    return dict(islice(short, _FIGURES))


def _span(seconds: Any) -> Any:
    return seconds if not isinstance(seconds, float) or 0 <= seconds <= LARGEST else 0.0


Word = Annotated[str, Field(max_length=253), _cut_to(253)]
Told = Annotated[str, Field(max_length=32_768), _cut_to(32_768)]
Moment = Annotated[str, Field(max_length=64), _cut_to(64)]
Address = Annotated[str, Field(max_length=4096), _cut_to(4096)]
Number = Annotated[int, Field(ge=0, le=LARGEST)]
Figures = Annotated[dict[str, float], Field(max_length=_FIGURES), BeforeValidator(_few)]
Span = Annotated[float, Field(ge=0, le=LARGEST), BeforeValidator(_span)]


class Condition(Settings):
    """One condition, in the form of Kubernetes' own objects."""

    type: ConditionType
    """Which condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", max_length=1024)]
    """One CamelCase word for scripts."""
    message: Told = ""
    """What happened and what to do, for people."""
    last_transition_time: Moment
    """When `status` last changed; RFC 3339."""
    observed_generation: Number = 0
    """Generation of the request that this is about."""


class StageStatus(Settings):
    """One row per stage."""

    name: Word
    """Stage."""
    key: Word
    """Its key. A finished key never runs again."""
    phase: StagePhase = "Pending"
    """State of the stage."""
    job: Word = ""
    """Job of the latest attempt, written before the Job is created. Empty: the next Job is a new attempt."""
    attempt: Number = 0
    """Attempts that the key has had. It rises on retry, on resume after suspend, and when a Job was lost."""
    pod: Word = ""
    """The running pod, or the last one."""
    start_time: Moment = ""
    """When the stage started to run; RFC 3339."""
    completion_time: Moment = ""
    """When the stage ended; RFC 3339."""
    failures: Number = 0
    """Failures of the attempt's pods that have been counted so far."""
    lost: Number = 0
    """Jobs of this stage in a row that somebody else deleted before they had ended."""
    progress: Annotated[int, Field(ge=0, le=100)] = 0
    """Percentage done."""
    eta: Moment = ""
    """When the stage expects to be done; RFC 3339."""
    metrics: Figures = Field(default_factory=dict)
    """Figures by name, including `loss`."""
    reason: Word = ""
    """One CamelCase word for why it waits or has failed."""
    message: Told = ""
    """What the stage is doing, or what happened and what to do."""
    failed_generation: Number = 0
    """Generation in which the stage failed. A later one gives it another attempt. 0: it has not failed."""
    output: Address = ""
    """URL of its result."""


class FinishedStage(Settings):
    """A key that this run has finished. It never gets a Job again."""

    stage: Word
    """Stage."""
    key: Word
    """Key."""
    completion_time: Moment = ""
    """When it was finished; RFC 3339. Empty: the store already held the result."""
    seconds: Span = 0.0
    """Seconds that the successful attempt took."""
    metrics: Figures = Field(default_factory=dict)
    """Its figures. The gate is judged on those of evaluate."""
    note: Told = ""
    """What own data the run has read, and whether its name held something else when this stage ran."""


class Outputs(Settings):
    """Where the results are."""

    dataset: Address = ""
    """Dataset and system message."""
    adapter: Address = ""
    """Adapter."""
    model: Address = ""
    """Merged model. Once it is delivered, the place that `output` names."""
    report: Address = ""
    """Report of the evaluation."""


class Status(Settings):
    """State of a request."""

    observed_generation: Annotated[int, Field(ge=-1, le=LARGEST)] = -1
    """Generation that the rest of the status is about. -1: the controller has not seen the request yet."""
    phase: Phase = "Pending"
    """State in one word."""
    stage: Word = ""
    """Running stage."""
    progress: Annotated[int, Field(ge=0, le=100)] = 0
    """Percentage of the running stage."""
    percent: Word = ""
    """`progress` with a sign, such as `42%`, for kubectl's table. Empty while nothing is measured."""
    eta: Moment = ""
    """When the running stage expects to be done; RFC 3339."""
    loss: Word = ""
    """Latest training loss, for kubectl's table."""
    reason: Word = ""
    """One CamelCase word for why it waits or has failed."""
    message: Told = ""
    """What is happening, or what happened and what to do."""
    run: Word = ""
    """Run in the store."""
    store: Address = ""
    """URL of the folder that holds the run: the profile's store and the namespace."""
    snapshot: Word = ""
    """ConfigMap that holds the resolved request and the profile, frozen for this generation."""
    queue_place: Number = 0
    """Place in the queue. 0: the request does not wait."""
    start_time: Moment = ""
    """When the first stage started to run; RFC 3339."""
    completion_time: Moment = ""
    """When the request ended; RFC 3339."""
    outputs: Outputs = Field(default_factory=Outputs)
    """Where the results are."""
    stages: Annotated[tuple[StageStatus, ...], Field(max_length=32)] = ()
    """One row per stage."""
    finished: Annotated[tuple[FinishedStage, ...], Field(max_length=100)] = ()
    """Keys that this run has finished, the newest last. Only the newest 50 are kept."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32)] = ()
    """Conditions by type."""
