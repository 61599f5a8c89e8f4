"""The metrics that evaluate measures, one file each.

A new one needs three edits: its file here, its name in the table below, and its row in
`tunesmith/metrics.py`.
"""

from collections.abc import Mapping

from tunesmith_jobs.evaluate.metrics.exact_match import EXACT_MATCH
from tunesmith_jobs.evaluate.metrics.format_valid import FORMAT_VALID
from tunesmith_jobs.evaluate.metrics.loss import LOSS
from tunesmith_jobs.evaluate.metrics.metric import Metric

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in (LOSS, EXACT_MATCH, FORMAT_VALID)}
"""Every metric by its name, in the order in which they are shown."""
