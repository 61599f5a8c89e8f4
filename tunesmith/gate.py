"""The gate: whether the figures of evaluate show the gain that the request asks for. Pure.

The gate is not part of any key, so raising or lowering it runs nothing again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tunesmith.metrics import METRICS
from tunesmith.request import Spec
from tunesmith.settings import Gate
from tunesmith.stages import JUDGED


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    `low`: the lower bound of the gain's interval, never NaN; `rows`: the number of test rows it rests on.
    """

    passed: bool
    metric: str
    least: float
    gain: float | None
    low: float | None
    rows: int

    def __str__(self) -> str:
        words = METRICS[self.metric].words
        if self.gain is None or self.low is None:
            return f"gate not passed: evaluate measured no {words} (no test row, or no format)"
        outcome = "passed" if self.passed else "not passed"
        compared = "≥" if self.passed else "<"
        return (
            f"gate {outcome}: {words} gained {self.gain:.4g}, lower bound {self.low:.4g}"
            f" {compared} {self.least:.4g} that the gate asks for (n = {self.rows})"
        )


class Finished(Protocol):
    """A finished stage, as a manifest or a status describes it."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Its figures by name."""


def verdict(spec: Spec, done: Mapping[str, Finished]) -> Verdict | None:
    """What the gate says about a run; None without a gate, and until evaluate has finished.

    `done`: the run's finished stages by name.
    """
    evaluated = done.get(JUDGED)
    return None if evaluated is None else judge(spec.evaluation.gate, evaluated.metrics)


def judge(gate: Gate | None, metrics: Mapping[str, float]) -> Verdict | None:
    """The verdict on evaluate's metrics (`lossGain`, `lossGainLow`, `exactMatchGain`, …, `rows`); None
    without a gate.

    A figure that is missing or NaN does not pass.
    """
    if gate is None:
        return None
    metric = METRICS[gate.metric]
    gain = _number(metrics.get(metric.gain))
    low = _number(metrics.get(metric.gain_low))
    passed = gain is not None and low is not None and low >= gate.least_gain
    return Verdict(passed, gate.metric, gate.least_gain, gain, low, int(metrics.get("rows", 0)))


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
