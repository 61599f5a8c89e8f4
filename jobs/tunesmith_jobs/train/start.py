"""The adapter that training starts from, when `training.from` names another run."""

import json
from pathlib import Path
from typing import Any

from tunesmith.errors import BadRequest, Problem
from tunesmith.manifest import Pin
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.other_run import result_of
from tunesmith_jobs.train import adapter


def adapter_to_start_from(attempt: Attempt, base: Pin) -> Finished | None:
    """The newest finished training of the run that `training.from` names, which is pinned; None without one.

    Raises BadRequest if there is none or if it is of another base model, Gone if it is not what was pinned.
    """
    reference = attempt.spec.training.from_
    if reference is None:
        return None
    start = result_of(attempt, reference, stage="train", path="spec.training.from")
    other = start.manifest.pins["base"]
    if other.revision != base.revision:
        raise BadRequest(
            "the adapter to start from belongs to another base model",
            reason="AdapterForOtherModel",
            problems=[
                Problem(
                    "spec.training.from",
                    f"was trained on {other.uri} at {other.revision}, this run on {base.uri} at {base.revision}",
                )
            ],
            remedy="set model.base to that model and revision, or leave training.from out",
        )
    return start


def load_start(model: Any, other: Finished) -> None:
    """Load the adapter of another training. Raises BadRequest if its shape or scale differs from the one to train."""
    config = json.loads(other.read(f"adapter/{adapter.CONFIG}"))
    if found := adapter.differences(model.peft_config["default"].to_dict(), config):
        raise BadRequest(
            "the adapter to start from is shaped otherwise than the one to train",
            reason="AdapterDoesNotFit",
            problems=found,
            remedy="train with the same loraR, loraAlpha, loraTargetModules, useDora and useRslora as the run in training.from",
        )
    path: Path = other.path(f"adapter/{adapter.WEIGHTS}")
    adapter.load(model, path)
