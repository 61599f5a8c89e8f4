"""The one table of experiment trackers that `training.reportTo` may name. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]


@dataclass(frozen=True)
class Tracker:
    """One tracker.

    `module`: the Python module that must be importable where train runs.
    `variables`: how the names of the environment variables that it reads begin.
    """

    name: TrackerName
    module: str
    variables: str


_TRACKERS = (
    Tracker("tensorboard", module="tensorboard", variables="TENSORBOARD_"),
    Tracker("wandb", module="wandb", variables="WANDB_"),
    Tracker("mlflow", module="mlflow", variables="MLFLOW_"),
    Tracker("trackio", module="trackio", variables="TRACKIO_"),
)

TRACKERS: Mapping[str, Tracker] = {tracker.name: tracker for tracker in _TRACKERS}
"""Every tracker by its name."""
