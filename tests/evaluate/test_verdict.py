"""The verdict in words."""

import pytest

from tunesmith_jobs.evaluate.bootstrap import Gain
from tunesmith_jobs.evaluate.metrics.metric import Comparison
from tunesmith_jobs.evaluate.verdict import verdict_on


def figure(base, merged, low, high, n=12):
    return Comparison(base, merged, Gain(merged - base, n, low, high))


def loss(base, merged, low, high, n=12):
    return Comparison(base, merged, Gain(base - merged, n, low, high))


FELL, SAME_LOSS, ROSE = loss(1.49, 0.41, 0.9, 1.2), loss(1.49, 1.48, -0.05, 0.07), loss(1.0, 1.5, -0.7, -0.3)
ALL, SOME, NONE = figure(0, 1, 1, 1), figure(0, 0.5, 0.2, 0.8), figure(0, 0, 0, 0)

CASES = {  # loss, exact, valid -> level, parts of the text
    "all right": (
        (FELL, ALL, ALL),
        "better",
        ["12 of 12 test answers are exactly right (base model: 0)", "at least 74 %"],
    ),
    "half right": ((FELL, SOME, ALL), "better", ["6 of 12 test answers are exactly right"]),
    "the loss fell and no answer is right, though a form is wanted": (
        (FELL, NONE, NONE),
        "mixed",
        [
            "None of the 12 test answers is exactly right",
            "falling loss alone can mislead",
            "fell from 1.490 to 0.410",
        ],
    ),
    "the loss fell on a task where many answers are right": (
        (FELL, NONE, None),
        "better",
        ["word for word", "judge the answers"],
    ),
    "the form is right but no answer": (
        (FELL, NONE, ALL),
        "better",
        ["falling loss alone can mislead", "12 of 12 have the wanted form"],
    ),
    "nothing changed": ((SAME_LOSS, NONE, None), "same", ["No improvement shown"]),
    "it got worse": ((ROSE, NONE, None), "worse", ["The new model is worse", "rose from 1.000 to 1.500"]),
    "answers better, loss worse": ((ROSE, SOME, None), "mixed", ["A mixed result"]),
    "no test rows": ((None, None, None), "unknown", ["no test rows", "data.split.test"]),
    "one test row": (
        (loss(2, 1, None, None, 1), figure(0, 1, None, None, 1), None),
        "unknown",
        ["One test row can't show"],
    ),
}


@pytest.mark.parametrize(("figures", "level", "parts"), CASES.values(), ids=CASES)
def test_verdict(figures, level, parts):
    verdict = verdict_on(dict(zip(("loss", "exactMatch", "formatValid"), figures, strict=True)))
    whole = " ".join([verdict.sentence, *verdict.notes])
    assert verdict.level == level, whole
    assert [text for text in parts if text not in whole] == [], whole
