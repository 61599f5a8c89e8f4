"""What a teacher costs: the request's own price, a price by name, the table."""

import pytest

from tunesmith.errors import BadRequest
from tunesmith.prices import PRICES, Price, check_prices, find_price, models_of, price_of, price_of_rows
from tunesmith.settings import Budget, Data, Teacher

SOL = Price(2e-6, 10e-6, 0.1e-6)
LISTED = {
    "gpt-6.1-sol": SOL,
    "openai/gpt-6.1-sol": SOL,
    "gpt-6.1-sol-2026-09-29": SOL,
    "GPT-6.1-Sol": SOL,
    "models/gemini-2.5-flash": Price(0.3e-6, 2.5e-6, 0.03e-6),
    "claude-haiku-4-5-20251001": Price(1e-6, 5e-6, 0.1e-6),
    "anthropic/claude-sonnet-4-5@20250929": Price(3e-6, 15e-6, 0.3e-6),
    "gpt-6.1-sol-mini": None,
    "our-gpt-6.1-sol": None,
    "someone/gpt-6.1-sol": None,
    "deepseek/deepseek-r1:free": None,
    "llama3": None,
    "": None,
}


@pytest.mark.parametrize(("model", "price"), LISTED.items(), ids=LISTED)
def test_list_prices(model, price):
    found = price_of(model)
    assert (found and pytest.approx(vars(found))) == (price and vars(price))


def test_the_table_has_the_built_in_teacher_and_that_of_the_preset_and_no_odd_row():
    assert price_of(Teacher().model) is not None
    assert price_of("gpt-4") is not None
    for model, (asked, cached, answered) in PRICES.items():
        assert 0 < cached <= asked <= answered, model


def price(asked, answered, cached=None):
    members = {"usdPerMillionInputTokens": asked, "usdPerMillionOutputTokens": answered}
    return members | ({"usdPerMillionCachedInputTokens": cached} if cached is not None else {})


OURS = {"our-*": price(1, 2), "our-writer-*": price(3, 4, 0.5), "our-writer-1": price(5, 6), "*": price(7, 8)}
BUDGETS = {  # model, budget -> US dollars per 10^6 tokens: input, cached input, output
    "the table": ("gpt-6.1-sol", {}, (2, 0.1, 10)),
    "the budget's own price wins": (
        "gpt-6.1-sol",
        {"usdPerMillionOutputTokens": 9, "prices": OURS},
        (0, 0, 9),
    ),
    "a name wins": ("our-writer-1", {"prices": OURS}, (5, 5, 6)),
    "the longest pattern wins": ("our-writer-2", {"prices": OURS}, (3, 0.5, 4)),
    "a shorter one": ("our-other", {"prices": OURS}, (1, 1, 2)),
    "any model": ("gpt-6.1-sol", {"prices": OURS}, (7, 7, 8)),
    "not this one": ("gpt-6.1-sol", {"prices": {"our-*": price(1, 2)}}, (2, 0.1, 10)),
    "what costs nothing": ("llama3", {"prices": {"llama3": price(0, 0)}}, (0, 0, 0)),
}


@pytest.mark.parametrize(("model", "budget", "expected"), BUDGETS.values(), ids=BUDGETS)
def test_the_price_that_counts(model, budget, expected):
    found = find_price(model, Budget.model_validate(budget))
    assert found is not None
    assert (found.input * 1e6, found.cached_input * 1e6, found.output * 1e6) == pytest.approx(expected)


IN_BATCH = {  # US dollars per 10^6 tokens: input, cached input, output; the share -> the same in a batch
    "half of what is asked and answered": ((2, 0.1, 10, 0.5), (1, 0.1, 5)),
    "never more for what is cached than for what is not": ((2.5, 2, 10, 0.5), (1.25, 1.25, 5)),
    "no rebate": ((2, 0.1, 10, 1), (2, 0.1, 10)),
    "for nothing": ((2, 0.1, 10, 0), (0, 0, 0)),
}


@pytest.mark.parametrize(("live", "expected"), IN_BATCH.values(), ids=IN_BATCH)
def test_the_price_in_a_batch(live, expected):
    asked, cached, answered, share = live
    prices = {"m": price(asked, answered, cached) | {"batchShare": share}}
    found = find_price("m", Budget.model_validate({"prices": prices}))
    assert found is not None
    batch = found.in_batch
    assert (batch.input * 1e6, batch.cached_input * 1e6, batch.output * 1e6) == pytest.approx(expected)


def test_rows_cost_what_they_cost_in_the_mode_in_which_they_are_asked_for():
    live, batch = Data(), Data(teacher=Teacher.model_validate({"mode": "batch"}))
    listed = price_of("gpt-6.1-sol")
    assert listed is not None
    assert price_of_rows("gpt-6.1-sol", live) == listed
    assert price_of_rows("gpt-6.1-sol", batch) == listed.in_batch
    assert price_of_rows("unknown", batch) is None


def test_cached_input_is_part_of_the_input():
    assert SOL.cost(1000, 100, 600) == pytest.approx(400 * 2e-6 + 600 * 0.1e-6 + 100 * 10e-6)


def test_a_limit_in_dollars_needs_every_price():
    teacher = Teacher.model_validate({"model": "gpt-4.1", "systemMessageModel": "ours"})
    with pytest.raises(BadRequest, match="no price for ours") as caught:
        check_prices(models_of(Data(teacher=teacher)), Budget.model_validate({"maxUSD": 1.0}))
    assert "data.budget.prices" in str(caught.value)
    check_prices(
        models_of(Data(teacher=teacher)),
        Budget.model_validate({"maxUSD": 1.0, "prices": {"ours": price(0, 0)}}),
    )
    check_prices(models_of(Data(teacher=teacher)), Budget())
