"""Every metric keeps the contract of metrics; and what each of them measures."""

import pytest

from tunesmith import metrics as contract
from tunesmith.settings import Gate
from tunesmith_jobs.evaluate.findings import manifest_metrics
from tunesmith_jobs.evaluate.metrics import METRICS
from tunesmith_jobs.evaluate.metrics.exact_match import is_exact
from tunesmith_jobs.evaluate.metrics.metric import ComparedRow, Metric, ModelResult
from tunesmith_jobs.row_loss import RowLoss


def row(base: ModelResult, merged: ModelResult, expected: str = "yes") -> ComparedRow:
    return ComparedRow(expected, base, merged)


WRONG = ModelResult(RowLoss(8.0, 2), answer="perhaps", form_error="not JSON")
RIGHT = ModelResult(RowLoss(1.0, 2), answer="yes", form_error="")
NOTHING = ModelResult(RowLoss(0.0, 0))  # no token left, and not asked for an answer

IMPROVED = [row(WRONG, RIGHT)] * 5 + [row(RIGHT, RIGHT)]
WORSENED = [row(RIGHT, WRONG)] * 5 + [row(RIGHT, RIGHT)]


def test_each_metric_of_the_contract_is_measured_in_the_same_order():
    assert list(METRICS) == list(contract.METRICS)
    assert [metric.kind for metric in METRICS.values()] == list(contract.METRICS.values())


def test_a_gate_may_name_every_metric():
    assert [Gate.model_validate({"metric": name}).metric for name in METRICS] == list(METRICS)


@pytest.fixture(params=METRICS.values(), ids=METRICS)
def metric(request) -> Metric:
    return request.param


def test_a_gain_is_positive_when_the_merged_model_is_better(metric):
    better = metric.compare(IMPROVED, seed=0)
    assert better.gain.value > 0
    assert (better.merged > better.base) == metric.higher_is_better
    assert metric.compare(WORSENED, seed=0).gain.value < 0


def test_the_gain_is_the_difference_of_the_two_figures(metric):
    compared = metric.compare(IMPROVED, seed=0)
    assert compared.gain.value == pytest.approx(abs(compared.merged - compared.base))
    assert compared.gain.low <= compared.gain.value <= compared.gain.high
    assert compared.gain.n == len(IMPROVED)


def test_a_share_is_between_0_and_1(metric):
    compared = metric.compare(IMPROVED, seed=0)
    if metric.kind.unit == "share":
        assert 0 <= compared.base <= 1
        assert 0 <= compared.merged <= 1


def test_the_same_rows_and_seed_give_the_same_comparison(metric):
    assert metric.compare(IMPROVED, seed=3) == metric.compare(IMPROVED, seed=3)


def test_rows_that_do_not_count_change_nothing(metric):
    assert metric.measure(row(NOTHING, NOTHING)) is None
    with_nothing = [row(NOTHING, NOTHING), *IMPROVED]
    assert metric.compare(with_nothing, seed=0) == metric.compare(IMPROVED, seed=0)
    assert metric.compare([], seed=0) is None
    assert metric.compare([row(NOTHING, NOTHING)], seed=0) is None


def test_it_has_words_for_people(metric):
    for rows in (IMPROVED, WORSENED, [row(RIGHT, RIGHT)] * 2, [row(WRONG, WRONG)] * 2):
        assert metric.sentence(metric.compare(rows, seed=0)).endswith(".")
    assert all((metric.title, metric.help, metric.card_title, metric.kind.words, metric.kind.title))


def test_exact_means_the_same_text_but_for_white_space_around_it():
    assert is_exact(" yes\n", "yes")
    assert not is_exact("Yes", "yes")


def losses(*pairs: tuple[RowLoss, RowLoss]) -> list[ComparedRow]:
    return [row(ModelResult(base), ModelResult(merged)) for base, merged in pairs]


def test_loss_is_that_of_all_tokens_and_not_the_mean_of_rows():
    rows = losses((RowLoss(10.0, 1), RowLoss(1.0, 1)), (RowLoss(9.0, 9), RowLoss(9.0, 9)))
    compared = METRICS["loss"].compare(rows, seed=0)
    assert (compared.base, compared.merged, compared.gain.value) == pytest.approx((1.9, 1.0, 0.9))


def test_the_loss_of_rows_without_a_token_left_does_not_count():
    rows = losses((RowLoss(0.0, 0), RowLoss(0.0, 0)), (RowLoss(2.0, 1), RowLoss(1.0, 1)))
    compared = METRICS["loss"].compare(rows, seed=0)
    assert (compared.base, compared.gain.n) == (2.0, 1)
    assert METRICS["loss"].compare(rows[:1], seed=0) is None


def exact_match(base: list[bool], merged: list[bool]):
    rows = [
        row(RIGHT if old else WRONG, RIGHT if new else WRONG) for old, new in zip(base, merged, strict=True)
    ]
    return METRICS["exactMatch"].compare(rows, seed=0)


def test_metrics_have_the_names_of_the_gate():
    compared = exact_match([False, False, True, False], [True, True, True, True])
    assert manifest_metrics({"loss": None, "exactMatch": compared}) == {
        "exactMatchBase": 0.25,
        "exactMatchMerged": 1.0,
        "exactMatchGain": 0.75,
        "exactMatchGainLow": compared.gain.low,
        "exactMatchGainHigh": compared.gain.high,
    }
    assert 0 < compared.gain.low < 0.75


def test_one_row_gives_no_bound_that_a_gate_could_pass():
    assert manifest_metrics({"exactMatch": exact_match([False], [True])}) == {
        "exactMatchBase": 0.0,
        "exactMatchMerged": 1.0,
        "exactMatchGain": 1.0,
    }


def test_the_form_counts_where_one_is_asked_for():
    asked, not_asked = ModelResult(RowLoss(1.0, 1), "x", ""), ModelResult(RowLoss(1.0, 1), "x", None)
    assert METRICS["formatValid"].compare([row(WRONG, asked)], seed=0).merged == 1
    assert METRICS["formatValid"].compare([row(not_asked, not_asked)], seed=0) is None
