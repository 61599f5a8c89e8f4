"""The one table of metrics on which evaluate compares the models, and which a gate may name. Pure data.

How each is measured: `tunesmith_jobs/evaluate/metrics/`, which has one file for each row of this table.
"""

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
