"""What the controller writes back: `status` of a TrainingRequest."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.settings import Settings

Phase = Literal["Pending", "Queued", "Running", "Suspended", "Succeeded", "Failed"]
StagePhase = Literal["Pending", "Running", "Succeeded", "Failed"]
ConditionType = Literal["Accepted", "Generated", "Trained", "Merged", "Evaluated", "Complete", "Failed", "Reconciling", "Stalled"]


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
    """Job of the latest attempt."""
    attempt: int = 0
    """How many Jobs the key has had."""
    start_time: str = ""
    """When it started to run; RFC 3339."""
    completion_time: str = ""
    """When it ended; RFC 3339."""
    progress: Annotated[int, Field(ge=0, le=100)] = 0
    """Per cent done."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Numbers by name, `loss` among them."""
    message: str = ""
    """What it says, or what happened and what to do."""
    output: str = ""
    """URL of its result."""


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
    message: str = ""
    """What is going on, or what happened and what to do."""
    run: str = ""
    """Run in the store."""
    queue_place: int = 0
    """Place in the queue; 0: not waiting."""
    stages: tuple[StageStatus, ...] = ()
    """A row per stage."""
    conditions: tuple[Condition, ...] = ()
    """Conditions by type."""
