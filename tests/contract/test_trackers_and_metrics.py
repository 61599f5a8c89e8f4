"""The tables of trackers and of metrics name all that a request may name, and nothing else."""

from typing import get_args

from tunesmith.metrics import METRICS, MetricName
from tunesmith.trackers import TRACKERS, TrackerName


def test_each_tracker_that_a_request_may_name_has_a_row_of_its_own() -> None:
    assert sorted(TRACKERS) == sorted(get_args(TrackerName))
    assert len({tracker.variables for tracker in TRACKERS.values()}) == len(TRACKERS)


def test_each_metric_that_a_gate_may_name_has_a_row() -> None:
    assert sorted(METRICS) == sorted(get_args(MetricName))


def test_the_names_of_figures_in_a_manifest_stay() -> None:
    loss = METRICS["loss"]
    assert (loss.base, loss.merged, loss.gain, loss.gain_low, loss.gain_high) == (
        "lossBase",
        "lossMerged",
        "lossGain",
        "lossGainLow",
        "lossGainHigh",
    )
