"""The budget: reserved before, settled after, never passed."""

import pytest

from tunesmith.errors import BadRequest
from tunesmith.settings import Budget
from tunesmith_jobs.generate.budget import Ledger
from tunesmith_jobs.teacher.calls import Answer, Call

CALL = Call("m", (("user", "x" * 300),), 0.5, 1000, "pairs")
ANSWER = Answer(raw="", content="", finish_reason="stop", refusal="", input_tokens=100, output_tokens=50)


def ledger(**limits):
    return Ledger(Budget.model_validate(limits), frozenset(["m"]))


@pytest.mark.parametrize(
    ("limits", "calls"),
    [
        ({}, 50),
        ({"maxRequests": 3}, 3),
        ({"maxTokens": 3 * (CALL.input_tokens + CALL.max_tokens) + 5}, 3),
        ({"maxUSD": 0.004, "usdPerMillionInputTokens": 0.0, "usdPerMillionOutputTokens": 1.0}, 4),
    ],
)
def test_calls_that_would_pass_a_limit_are_not_started(limits, calls):
    spending = ledger(**limits)
    assert sum(spending.reserve(CALL) for _ in range(50)) == calls


def test_what_an_answer_did_not_cost_is_free_again():
    spending = ledger(maxTokens=CALL.input_tokens + CALL.max_tokens + 200)
    assert spending.reserve(CALL)
    assert not spending.reserve(CALL)
    spending.settle(CALL, ANSWER)
    assert spending.tokens == 150
    assert spending.reserve(CALL)


def test_a_fault_costs_a_request_and_no_money():
    spending = ledger(usdPerMillionInputTokens=1.0)
    spending.reserve(CALL)
    spending.settle(CALL, None)
    assert (spending.usd, spending.tokens, spending.requests) == (0.0, 0, 1)


def test_money_needs_a_price():
    with pytest.raises(BadRequest, match="no price for m"):
        ledger(maxUSD=1.0)
    assert Ledger(Budget.model_validate({"maxUSD": 1.0}), frozenset(["gpt-4.1"])).priced
