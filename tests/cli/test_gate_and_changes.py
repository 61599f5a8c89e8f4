"""The gate, what an edit changes, and reruns: pure."""

import math

import pytest
from requests_for_tests import document

from tunesmith.changes import changes, moved
from tunesmith.errors import Usage
from tunesmith.gate import judge, verdict
from tunesmith.plan import snapshot
from tunesmith.request import parse
from tunesmith.settings import Gate
from tunesmith.status import FinishedStage
from tunesmith_cli.local.rerun import keeping_rerun, with_rerun

GATES = {  # metric, least gain, metrics -> passed
    "the lower bound counts, not the gain": ("loss", 0.5, {"lossGain": 0.9, "lossGainLow": 0.4}, False),
    "equal is enough": ("loss", 0.5, {"lossGain": 0.9, "lossGainLow": 0.5}, True),
    "another metric": (
        "exactMatch",
        0.5,
        {"exactMatchGain": 0.9, "exactMatchGainLow": 0.6, "lossGainLow": -1.0},
        True,
    ),
    "a missing figure does not pass": ("formatValid", 0.0, {"lossGain": 1.0, "lossGainLow": 1.0}, False),
    "nor does a gain without a bound": ("loss", 0.0, {"lossGain": 1.0}, False),
    "nor NaN": ("loss", -1.0, {"lossGain": math.nan, "lossGainLow": math.nan}, False),
    "a loss may be allowed": ("loss", -0.1, {"lossGain": 0.0, "lossGainLow": -0.05}, True),
}


@pytest.mark.parametrize(("metric", "least", "metrics", "passed"), GATES.values(), ids=GATES)
def test_gate(metric, least, metrics, passed):
    verdict = judge(Gate.model_validate({"metric": metric, "leastGain": least}), metrics | {"rows": 12.0})
    assert verdict is not None
    assert verdict.passed is passed
    assert ("not passed" in str(verdict)) is not passed


def test_without_a_gate_there_is_no_verdict():
    assert judge(None, {}) is None


def test_there_is_a_verdict_once_evaluate_has_finished():
    spec = parse(document({"evaluation.gate": {"metric": "loss", "leastGain": 0.5}})).spec
    evaluated = FinishedStage(stage="evaluate", key="k", metrics={"lossGain": 0.9, "lossGainLow": 0.5})
    assert verdict(spec, {}) is None
    assert verdict(spec, {"evaluate": evaluated}).passed
    assert verdict(parse(document()).spec, {"evaluate": evaluated}) is None


def made(spec=None):
    return snapshot(parse(document(spec)), run="r")


EDITS = {  # edit -> (path, stage whose key it moves), stages with another key
    "a hyperparameter": (
        {"training.loraR": 8},
        [("training.loraR", "train")],
        ["train", "merge", "evaluate"],
    ),
    "the dtype": ({"merge.dtype": "float16"}, [("merge.dtype", "merge")], ["merge", "evaluate"]),
    "the gate": ({"evaluation.gate": {"metric": "loss", "leastGain": 1.0}}, [("evaluation.gate", None)], []),
    "more memory": ({"stages.train.retries": 5}, [("stages.train.retries", None)], []),
    "an output": ({"output": "s3://b/p"}, [("output", "deliver")], ["deliver"]),
    "two": (
        {"evaluation.answers": 9, "data.examples": 9},
        [("data.examples", "generate"), ("evaluation.answers", "evaluate")],
        ["generate", "train", "merge", "evaluate"],
    ),
    "none": ({}, [], []),
}


@pytest.mark.parametrize(("edit", "fields", "stages"), EDITS.values(), ids=EDITS)
def test_which_field_moved_which_key(edit, fields, stages):
    before, after = made(), made(edit)
    assert [(change.path, change.stage) for change in changes(before, after)] == fields
    assert moved(before, after) == stages


def test_a_rerun_moves_the_keys_from_its_stage_on_and_stays_with_a_later_plain_run():
    before = made()
    again = with_rerun(before, "train", "x")
    assert moved(before, again) == ["train", "merge", "evaluate"]
    assert [change.stage for change in changes(before, again)] == ["train"]
    assert keeping_rerun(made(), again) == again
    assert with_rerun(again, "train", "x").stages == again.stages
    edited = keeping_rerun(made({"merge.dtype": "float16"}), again)
    assert moved(again, edited) == ["merge", "evaluate"]


def test_a_rerun_of_a_later_stage_keeps_what_an_earlier_one_made():
    again = with_rerun(made(), "train", "x")
    judged = with_rerun(again, "evaluate", "y")
    assert moved(again, judged) == ["evaluate"]
    assert [change.stage for change in changes(again, judged)] == ["evaluate"]
    assert moved(judged, with_rerun(judged, "evaluate", "z")) == ["evaluate"]
    assert with_rerun(judged, "evaluate", "y").stages == judged.stages
    assert moved(judged, with_rerun(judged, "merge", "z")) == ["merge", "evaluate"]
    assert moved(judged, with_rerun(judged, "generate", "y")) == ["generate", "train", "merge", "evaluate"]


def test_the_requests_own_rerun_wins():
    own = made({"rerun": {"from": "merge", "id": "mine"}})
    assert keeping_rerun(own, with_rerun(made(), "train", "x")) == own
    judged = with_rerun(own, "evaluate", "y")
    assert keeping_rerun(own, judged) == judged, "what came after the request's own rerun stays"


def test_a_stage_that_the_request_lacks_cannot_be_run_again():
    with pytest.raises(Usage, match="no stage deliver"):
        with_rerun(made(), "deliver", "x")
