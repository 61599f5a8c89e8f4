"""What the controller writes back: `status` of a TrainingRequest."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.settings import Settings

Phase = Literal["Pending", "Queued", "Running", "Suspended", "Succeeded", "Failed"]
StagePhase = Literal["Pending", "Running", "Stopping", "Succeeded", "Failed"]
ConditionType = Literal[
    "Accepted",
    "Generated",
    "Trained",
    "Merged",
    "Evaluated",
    "Delivered",
    "Complete",
    "Failed",
    "Reconciling",
    "Stalled",
]


class Condition(Settings):
    """One condition, as Kubernetes' own objects have them."""

    type: ConditionType
    """Which condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", max_length=1024)]
    """One CamelCase word for scripts."""
    message: Annotated[str, Field(max_length=32_768)] = ""
    """What happened and what to do, for people."""
    last_transition_time: str
    """When `status` last changed; RFC 3339."""
    observed_generation: int = 0
    """Generation of the request that this was judged by."""


class StageStatus(Settings):
    """One row per stage."""

    name: str
    """Stage."""
    key: str
    """Its key; a finished key never runs again."""
    phase: StagePhase = "Pending"
    """How it stands."""
    job: str = ""
    """Job of the latest attempt; written before the Job is made. Empty: the next Job is a new attempt."""
    attempt: int = 0
    """How many attempts the key has had: it rises on retry, on resume after suspend, or when a Job was lost."""
    pod: str = ""
    """Pod at work, or the last one."""
    start_time: str = ""
    """When it started to run; RFC 3339."""
    completion_time: str = ""
    """When it ended; RFC 3339."""
    failures: int = 0
    """Counted failures of the attempt's pods so far."""
    progress: Annotated[int, Field(ge=0, le=100)] = 0
    """Per cent done."""
    eta: str = ""
    """When it will be done, as far as it can tell; RFC 3339."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Numbers by name, `loss` among them."""
    reason: str = ""
    """One CamelCase word: why it waits, or why it failed."""
    message: str = ""
    """What it says, or what happened and what to do."""
    failed_generation: int = 0
    """Generation that a failure was seen at; a later one gives the stage another attempt. 0: not failed."""
    output: str = ""
    """URL of its result."""


class FinishedStage(Settings):
    """A key that this run has finished; it gets no Job again."""

    stage: str
    """Stage."""
    key: str
    """Key."""
    completion_time: str = ""
    """When; RFC 3339. Empty: the store held it already."""
    seconds: float = 0.0
    """Seconds that the attempt took which finished it."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Its figures; the gate is judged on evaluate's."""


class Outputs(Settings):
    """Where the results are."""

    dataset: str = ""
    """Dataset and system message."""
    adapter: str = ""
    """Adapter."""
    model: str = ""
    """Merged model; where `output` says, once it is delivered."""
    report: str = ""
    """Report of the evaluation."""


class Status(Settings):
    """How a request stands."""

    observed_generation: int = -1
    """Generation that the rest of the status is about; -1: not seen yet."""
    phase: Phase = "Pending"
    """In one word."""
    stage: str = ""
    """Stage at work."""
    progress: Annotated[int, Field(ge=0, le=100)] = 0
    """Per cent of the stage at work."""
    percent: str = ""
    """`progress` with its sign, such as `42%`, for the table of kubectl; empty while nothing is measured."""
    eta: str = ""
    """When the stage at work will be done, as far as it can tell; RFC 3339."""
    loss: str = ""
    """Latest training loss, for the table of kubectl."""
    reason: str = ""
    """One CamelCase word: why it waits, or why it failed."""
    message: str = ""
    """What is going on, or what happened and what to do."""
    run: str = ""
    """Run in the store."""
    store: str = ""
    """URL that the run lies below: the profile's store and the namespace."""
    snapshot: str = ""
    """ConfigMap with the resolved request and the profile, frozen for this generation."""
    queue_place: int = 0
    """Place in the queue; 0: not waiting."""
    start_time: str = ""
    """When the first stage started to run; RFC 3339."""
    completion_time: str = ""
    """When the request ended; RFC 3339."""
    outputs: Outputs = Field(default_factory=Outputs)
    """Where the results are."""
    stages: tuple[StageStatus, ...] = ()
    """A row per stage."""
    finished: tuple[FinishedStage, ...] = ()
    """Keys that this run has finished, the newest last; the oldest are dropped beyond 50."""
    conditions: tuple[Condition, ...] = ()
    """Conditions by type."""
