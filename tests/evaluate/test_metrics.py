"""Figures from answers and losses."""

import pytest

from tunesmith.errors import BadRequest
from tunesmith.settings import Format
from tunesmith_jobs.evaluate.scoring import (
    RowLoss,
    compare_losses,
    compare_shares,
    format_judge,
    is_exact,
    metrics,
)

SCHEMA = {
    "type": "object",
    "required": ["priority"],
    "properties": {"priority": {"enum": ["low", "high"]}},
    "additionalProperties": False,
}

FORMS = {  # format, answer -> what is wrong contains (empty: nothing)
    "an object of the schema is valid": ({"jsonSchema": SCHEMA}, ' {"priority": "low"}\n', ""),
    "a value that the schema lacks is not": ({"jsonSchema": SCHEMA}, '{"priority": "urgent"}', "$.priority"),
    "a missing field is not": ({"jsonSchema": SCHEMA}, "{}", "'priority' is a required property"),
    "text that is no JSON is not": ({"jsonSchema": SCHEMA}, "priority: low", "no JSON"),
    "JSON with words around it is not": ({"jsonSchema": SCHEMA}, 'Sure! {"priority": "low"}', "no JSON"),
    "an empty answer is not": ({"jsonSchema": SCHEMA}, "", "no JSON"),
    "a whole match is valid": ({"regex": "[0-9]+"}, "42\n", ""),
    "a part of the answer is no match": ({"regex": "[0-9]+"}, "42 apples", "does not match"),
}


@pytest.mark.parametrize(("wanted", "answer", "wrong"), FORMS.values(), ids=FORMS)
def test_form(wanted, answer, wrong):
    found = format_judge(Format.model_validate(wanted))(answer)
    assert wrong in found
    assert bool(found) == bool(wrong)


def test_no_format_asks_for_no_judge():
    assert format_judge(None) is None


def test_a_schema_that_is_none_is_the_requests_fault():
    with pytest.raises(BadRequest, match="can't be checked") as caught:
        format_judge(Format.model_validate({"jsonSchema": {"type": "nonsense"}}))
    assert caught.value.problems[0].path == "spec.evaluation.format.jsonSchema"


def test_a_schema_elsewhere_is_never_fetched():
    judge = format_judge(Format.model_validate({"jsonSchema": {"$ref": "http://127.0.0.1:9/schema.json"}}))
    with pytest.raises(BadRequest, match="can't be checked"):
        judge("{}")


def test_exact_means_the_same_text_but_for_blanks_around_it():
    assert is_exact(" yes\n", "yes")
    assert not is_exact("Yes", "yes")


def test_loss_is_that_of_all_tokens_and_not_the_mean_of_rows():
    found = compare_losses([RowLoss(10.0, 1), RowLoss(9.0, 9)], [RowLoss(1.0, 1), RowLoss(9.0, 9)], seed=0)
    assert (found.base, found.merged, found.gain.value) == pytest.approx((1.9, 1.0, 0.9))


def test_rows_without_a_token_left_do_not_count():
    found = compare_losses([RowLoss(0.0, 0), RowLoss(2.0, 1)], [RowLoss(0.0, 0), RowLoss(1.0, 1)], seed=0)
    assert (found.base, found.gain.n) == (2.0, 1)
    assert compare_losses([RowLoss(0.0, 0)], [RowLoss(0.0, 0)], seed=0) is None


def test_metrics_have_the_names_of_the_gate():
    rows = compare_shares([False, False, True, False], [True, True, True, True], seed=0)
    found = metrics({"loss": None, "exactMatch": rows})
    assert found == {
        "exactMatchBase": 0.25,
        "exactMatchMerged": 1.0,
        "exactMatchGain": 0.75,
        "exactMatchGainLow": rows.gain.low,
        "exactMatchGainHigh": rows.gain.high,
    }
    assert 0 < rows.gain.low < 0.75


def test_one_row_gives_no_bound_that_a_gate_could_pass():
    assert metrics({"exactMatch": compare_shares([False], [True], seed=0)}) == {
        "exactMatchBase": 0.0,
        "exactMatchMerged": 1.0,
        "exactMatchGain": 1.0,
    }
