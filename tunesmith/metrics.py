"""The one table of metrics on which evaluate compares the models, and which a gate may name, and the names of
all figures that stages report. Pure data.

How each is measured: `tunesmith_jobs/evaluate/metrics/`, which has one file for each row of this table.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MetricName = Literal["loss", "exactMatch", "formatValid"]
Unit = Literal["nats per token", "share"]  # a share is between 0 and 1


@dataclass(frozen=True)
class MetricKind:
    """One metric: what it is called, and under which names a manifest's metrics hold its figures.

    `words`: its name within a sentence; `title`: its name at the head of a table's row.
    """

    name: MetricName
    words: str
    title: str
    unit: Unit

    @property
    def base(self) -> str:
        """The base model's figure."""
        return f"{self.name}Base"

    @property
    def merged(self) -> str:
        """The merged model's figure."""
        return f"{self.name}Merged"

    @property
    def gain(self) -> str:
        """How much better the merged model is."""
        return f"{self.name}Gain"

    @property
    def gain_low(self) -> str:
        """Lower end of the gain's interval."""
        return f"{self.name}GainLow"

    @property
    def gain_high(self) -> str:
        """Upper end of the gain's interval."""
        return f"{self.name}GainHigh"


_METRICS = (
    MetricKind("loss", words="loss", title="test loss", unit="nats per token"),
    MetricKind("exactMatch", words="exact match", title="exact match", unit="share"),
    MetricKind("formatValid", words="format-valid share", title="format-valid share", unit="share"),
)

METRICS: Mapping[str, MetricKind] = {metric.name: metric for metric in _METRICS}
"""Every metric by its name, in the order in which they are shown."""

_FIGURES = (  # of generate, train, merge, evaluate, deliver
    "rows rowsTrain rowsValidation rowsTest calls callsReused callsPerMinute inFlight usd rejected baseBytes",
    "steps tokens tokensPerSecond loss testLossBefore testLossAfter trainableParameters truncated masked",
    "tensors tensorsChanged sampledElements changedShare updateKeptShare bytesFound bytesPerSecond seconds",
    "answers",
    "files bytes",
)

REPORTED = frozenset(" ".join(_FIGURES).split()) | {
    name
    for metric in _METRICS
    for name in (metric.base, metric.merged, metric.gain, metric.gain_low, metric.gain_high)
}
"""Every figure that a stage may report. A status keeps no others: a pod can print any name."""


def reported(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures that a status keeps: those of known names that JSON can hold."""
    return {name: value for name, value in figures.items() if name in REPORTED and math.isfinite(value)}
