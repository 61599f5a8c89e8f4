"""What the controller reports: `status` of a TrainingRequest."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.settings import Settings
from tunesmith.stages import StageCondition

Phase = Literal["Pending", "Queued", "Running", "Suspended", "Succeeded", "Failed"]
StagePhase = Literal["Pending", "Running", "Stopping", "Succeeded", "Failed"]
ConditionType = Literal["Accepted", StageCondition, "Complete", "Failed", "Reconciling", "Stalled"]


class Condition(Settings):
    """One condition, in the form of Kubernetes' own objects."""

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
    """Generation of the request that this is about."""


class StageStatus(Settings):
    """One row per stage."""

    name: str
    """Stage."""
    key: str
    """Its key. A finished key never runs again."""
    phase: StagePhase = "Pending"
    """State of the stage."""
    job: str = ""
    """Job of the latest attempt, written before the Job is created. Empty: the next Job is a new attempt."""
    attempt: int = 0
    """Attempts that the key has had. It rises on retry, on resume after suspend, and when a Job was lost."""
    pod: str = ""
    """The running pod, or the last one."""
    start_time: str = ""
    """When the stage started to run; RFC 3339."""
    completion_time: str = ""
    """When the stage ended; RFC 3339."""
    failures: int = 0
    """Failures of the attempt's pods that have been counted so far."""
    lost: Annotated[int, Field(ge=0)] = 0
    """Jobs of this stage in a row that somebody else deleted before they had ended."""
    progress: Annotated[int, Field(ge=0, le=100)] = 0
    """Percentage done."""
    eta: str = ""
    """When the stage expects to be done; RFC 3339."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Figures by name, including `loss`."""
    reason: str = ""
    """One CamelCase word for why it waits or has failed."""
    message: str = ""
    """What the stage is doing, or what happened and what to do."""
    failed_generation: int = 0
    """Generation in which the stage failed. A later one gives it another attempt. 0: it has not failed."""
    output: str = ""
    """URL of its result."""


class FinishedStage(Settings):
    """A key that this run has finished. It never gets a Job again."""

    stage: str
    """Stage."""
    key: str
    """Key."""
    completion_time: str = ""
    """When it was finished; RFC 3339. Empty: the store already held the result."""
    seconds: float = 0.0
    """Seconds that the successful attempt took."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Its figures. The gate is judged on those of evaluate."""


class Outputs(Settings):
    """Where the results are."""

    dataset: str = ""
    """Dataset and system message."""
    adapter: str = ""
    """Adapter."""
    model: str = ""
    """Merged model. Once it is delivered, the place that `output` names."""
    report: str = ""
    """Report of the evaluation."""


class Status(Settings):
    """State of a request."""

    observed_generation: int = -1
    """Generation that the rest of the status is about. -1: the controller has not seen the request yet."""
    phase: Phase = "Pending"
    """State in one word."""
    stage: str = ""
    """Running stage."""
    progress: Annotated[int, Field(ge=0, le=100)] = 0
    """Percentage of the running stage."""
    percent: str = ""
    """`progress` with a sign, such as `42%`, for kubectl's table. Empty while nothing is measured."""
    eta: str = ""
    """When the running stage expects to be done; RFC 3339."""
    loss: str = ""
    """Latest training loss, for kubectl's table."""
    reason: str = ""
    """One CamelCase word for why it waits or has failed."""
    message: str = ""
    """What is happening, or what happened and what to do."""
    run: str = ""
    """Run in the store."""
    store: str = ""
    """URL of the folder that holds the run: the profile's store and the namespace."""
    snapshot: str = ""
    """ConfigMap that holds the resolved request and the profile, frozen for this generation."""
    queue_place: int = 0
    """Place in the queue. 0: the request does not wait."""
    start_time: str = ""
    """When the first stage started to run; RFC 3339."""
    completion_time: str = ""
    """When the request ended; RFC 3339."""
    outputs: Outputs = Field(default_factory=Outputs)
    """Where the results are."""
    stages: tuple[StageStatus, ...] = ()
    """One row per stage."""
    finished: tuple[FinishedStage, ...] = ()
    """Keys that this run has finished, the newest last. Only the newest 50 are kept."""
    conditions: tuple[Condition, ...] = ()
    """Conditions by type."""
