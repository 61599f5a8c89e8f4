"""The budget: reserved before, settled after, never passed."""

import heapq
import random
from dataclasses import replace

import pytest

from tunesmith.errors import BadRequest
from tunesmith.settings import Budget
from tunesmith_jobs.generate.budget import Ledger
from tunesmith_jobs.generate.limiter import make_limiter
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


def spend(draw):
    """A run with a random budget, on a simulated clock: attempts, latencies, faults, answers that are cut."""
    limits = {
        "maxUSD": draw.choice([0.0, draw.uniform(0.001, 0.03)]),
        "maxTokens": draw.choice([0, draw.randint(1000, 40_000)]),
        "maxRequests": draw.choice([0, draw.randint(1, 80)]),
        "usdPerMillionInputTokens": draw.uniform(0.0, 5.0),
        "usdPerMillionOutputTokens": draw.uniform(0.0, 20.0),
    }
    paid, wanted, asked = [], draw.randint(1, 60), 0
    for _attempt in range(draw.randint(1, 3)):
        spending, limiter = ledger(**limits), make_limiter(0.0, most=draw.randint(1, 50))
        for answer in paid:
            spending.spent_before("m", answer)
        now, under_way, closed, least = 0.0, [], False, asked
        killed = draw.choice([1e9, draw.uniform(0.0, 20.0)])
        while now < killed and (under_way or (len(paid) < wanted and not closed)):
            call = replace(
                CALL, max_tokens=draw.randint(16, 3000), messages=(("user", "x" * draw.randint(1, 9000)),)
            )
            if (
                len(paid) + len(under_way) < wanted
                and not closed
                and limiter.wait(now, call.most_tokens) == 0
            ):
                closed = not spending.reserve(call)
                if not closed:
                    asked += 1
                    start = limiter.start(now, call.most_tokens)
                    heapq.heappush(under_way, (now + draw.lognormvariate(0, 1), asked, call, start))
            elif under_way:
                now, _, call, start = heapq.heappop(under_way)
                used = Answer(
                    "", "", "stop", "", draw.randint(0, call.input_tokens), draw.randint(0, call.most_output)
                )
                answer = used if draw.random() < 0.8 else None
                paid += [answer] if answer else []
                spending.settle(call, answer)
                limiter.release(now, start, reserved=call.most_tokens, used=answer.tokens if answer else 0)
                yield limits, paid, asked - least + len(paid), spending
            else:
                now += limiter.wait(now, call.most_tokens) + 1e-9
        least = asked


def test_no_budget_is_ever_exceeded():
    stopped = 0
    for seed in range(1000):
        spending = ledger()
        for limits, paid, requests, spending in spend(random.Random(seed)):
            usd = sum(spending.cost("m", answer.input_tokens, answer.output_tokens) for answer in paid)
            assert not limits["maxUSD"] or usd <= limits["maxUSD"] + 1e-9
            assert not limits["maxTokens"] or sum(answer.tokens for answer in paid) <= limits["maxTokens"]
            assert not limits["maxRequests"] or spending.requests <= limits["maxRequests"]
            assert requests >= len(paid)
        stopped += not spending.reserve(CALL)
    assert 100 < stopped < 900, "most budgets are to matter, and not all"
