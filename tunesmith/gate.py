"""The gate: whether evaluate's figures show the gain that the request asks for. Pure; runner and controller
judge by it.

The gate belongs to no key, so raising or lowering it runs nothing again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.metrics import METRICS
from tunesmith.settings import Gate


@dataclass(frozen=True)
class Verdict:
    """The gate's verdict.

    `low`: lower end of the gain's interval, never NaN; `rows`: how many test rows it rests on.
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
            f"gate {outcome}: {words} gained {self.gain:.4g}, "
            f"lower bound {self.low:.4g} {compared} {self.least:.4g} that the gate asks for (n = {self.rows})"
        )


def judge(gate: Gate | None, metrics: Mapping[str, float]) -> Verdict | None:
    """The verdict on evaluate's metrics (`lossGain`, `lossGainLow`, `exactMatchGain`, …, `rows`); None
    without a gate.

    A figure that is missing or NaN does not pass.
    """
    if gate is None:
        return None
    kind = METRICS[gate.metric]
    gain = _number(metrics.get(kind.gain))
    low = _number(metrics.get(kind.gain_low))
    passed = gain is not None and low is not None and low >= gate.least_gain
    return Verdict(passed, gate.metric, gate.least_gain, gain, low, int(metrics.get("rows", 0)))


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
