"""How certain a gain is: paired percentile bootstrap over test rows. Pure.

Rows are drawn with replacement, and each draw keeps a row's base and merged result together, since the same
row is easy or hard for both models. The interval is that of the percentile method (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, §13.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
_INDICES_AT_ONCE = 4_000_000  # 32 MiB of row indices


@dataclass(frozen=True)
class Gain:
    """A gain over `n` rows.

    `low`, `high`: the ends of its 95 % interval; None for fewer than two rows, which cannot show a spread.
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None

    @property
    def proven(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.low is not None and self.low > 0

    @property
    def disproven(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.high is not None and self.high < 0


def gain(differences: Sequence[float], weights: Sequence[float] | None = None, *, seed: int) -> Gain | None:
    """sum(differences) / sum(weights) with its interval; None without rows.

    `differences`: what each row contributes (nats saved; or 1, 0 or -1 for an answer).
    `weights`: what each row counts (tokens); 1 each if not given.
    The same numbers and seed give the same interval.
    """
    n = len(differences)
    if n == 0:
        return None
    gained = np.asarray(differences, dtype=np.float64)
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    value = float(gained.sum() / weight.sum())
    if n == 1:
        return Gain(value, n)
    generator = np.random.Generator(np.random.Philox(seed))
    block = max(1, _INDICES_AT_ONCE // n)
    means = []
    for start in range(0, RESAMPLES, block):
        rows = generator.integers(0, n, size=(min(block, RESAMPLES - start), n))
        means.append(gained[rows].sum(axis=1) / weight[rows].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Gain(value, n, float(low), float(high))


def all_right_lower_bound(n: int) -> float:
    """Lower end of the exact two-sided 95 % interval of a share when all `n` rows are right.

    (Clopper and Pearson, 1934.) Where all rows agree, the bootstrap shows no spread at all. This says what
    `n` rows can really show: 12 of 12 is at least 74 %.
    """
    return float(((1 - LEVEL) / 2) ** (1 / n))
