"""The course of a training: the trainer's log in our words, and what early stopping reads from it. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_FIELDS = {
    "step": "step",
    "epoch": "epoch",
    "loss": "loss",
    "eval_loss": "evalLoss",
    "learning_rate": "learningRate",
    "grad_norm": "gradNorm",
    "num_input_tokens_seen": "tokens",
    "tokens_per_second": "tokensPerSecond",
    "mean_token_accuracy": "meanTokenAccuracy",
    "eval_mean_token_accuracy": "evalMeanTokenAccuracy",
    "entropy": "entropy",
    "peak_memory_bytes": "peakMemoryBytes",
}
Log = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Course:
    """How far training is, and the trainer's log on the way there."""

    step: int
    log: Log


def entries(log: Log) -> list[dict[str, float]]:
    """The trainer's log as it is stored: one object per entry, only what is a number."""
    renamed = [_renamed(entry) for entry in log]
    return [entry for entry in renamed if "loss" in entry or "evalLoss" in entry]


def _renamed(entry: Mapping[str, Any]) -> dict[str, float]:
    return {ours: entry[theirs] for theirs, ours in _FIELDS.items() if _is_number(entry.get(theirs))}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def best_step(log: Log) -> int | None:
    """The step with the least validation loss (the first of equals), or None before any evaluation."""
    evaluated = [entry for entry in log if _is_number(entry.get("eval_loss"))]
    if not evaluated:
        return None
    best = min(evaluated, key=lambda entry: entry["eval_loss"])
    return int(best["step"])


def patience_is_over(log: Log, patience: int) -> bool:
    """Whether the last `patience` evaluations brought nothing better than the best one before. 0: never."""
    losses = [entry["eval_loss"] for entry in log if _is_number(entry.get("eval_loss"))]
    if not 0 < patience < len(losses):
        return False
    return bool(min(losses[-patience:]) >= min(losses[:-patience]))
