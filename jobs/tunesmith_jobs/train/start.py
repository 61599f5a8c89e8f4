"""The adapter that training starts from, when `training.from` names another run."""

import json
from typing import Any

from tunesmith.errors import BadRequest, Problem
from tunesmith.manifest import Pin
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.other_run import result_of
from tunesmith_jobs.train import adapter


def adapter_to_start_from(attempt: Attempt, base: Pin) -> Finished | None:
    """The newest finished training of the run that `training.from` names, pinned; None if it names none.

    Raises BadRequest if that run has no finished training, or one of another base model; Gone if it is no
    longer what was pinned.
    """
    reference = attempt.spec.training.from_
    if reference is None:
        return None
    start = result_of(attempt, reference, stage="train", path="spec.training.from")
    other = start.manifest.pins["base"]
    if other.revision != base.revision:
        theirs = f"{other.uri} at {other.revision}"
        ours = f"{base.uri} at {base.revision}"
        raise BadRequest(
            "the adapter to start from belongs to another base model",
            reason="AdapterForOtherModel",
            problems=[Problem("spec.training.from", f"was trained on {theirs}, this run on {ours}")],
            remedy="set model.base to that model and revision, or leave training.from out",
        )
    return start


def load_start(model: Any, start: Finished) -> None:
    """Load the adapter of another training.

    Raises BadRequest if its shape or scale differs from the one to train.
    """
    config = json.loads(start.read(f"adapter/{adapter.CONFIG}"))
    problems = adapter.differences(model.peft_config["default"].to_dict(), config)
    if problems:
        raise BadRequest(
            "the adapter to start from differs in shape or scale from the one to train",
            reason="AdapterDoesNotFit",
            problems=problems,
            remedy="train with the same loraR, loraAlpha, loraTargetModules, useDora and useRslora "
            "as the run in training.from",
        )
    adapter.load(model, start.path(f"adapter/{adapter.WEIGHTS}"))
