"""Estimates: what moves them, what is beside them, and how they are said."""

import pytest
from requests_for_tests import document

from tunesmith import cost, cost_text
from tunesmith.cost import Limit, Range, Seen, estimate, limits, training_use
from tunesmith.plan import snapshot
from tunesmith.request import parse
from tunesmith.settings import Budget

PLAIN = {"data.teacher.model": "gpt-4.1"}  # it does not think


def spec(changes=None):
    """A spec, whose budget may be one that a request is refused for."""
    changes = PLAIN | (changes or {})
    budget = changes.pop("data.budget", {}) | {
        path.removeprefix("data.budget."): changes.pop(path)
        for path in list(changes)
        if path.startswith("data.budget.")
    }
    made = snapshot(parse(document(changes)), run="r").spec
    limited = made.data.model_copy(update={"budget": Budget.model_validate(budget)})
    return made.model_copy(update={"data": limited})


def found(changes=None, seen=()):
    result = estimate(spec(changes), seen)
    assert result is not None
    return result


CALLS = {
    "a plan": ({}, 102),
    "several pairs a call": ({"data.pairsPerCall": 8}, 15),
    "a chain": ({"data.strategy": "chain"}, 101),
    "a system message that is given": ({"data.systemMessage": "s"}, 101),
    "a chain with one": ({"data.strategy": "chain", "data.systemMessage": "s"}, 100),
}


@pytest.mark.parametrize(("changes", "calls"), CALLS.values(), ids=CALLS)
def test_calls_are_counted(changes, calls):
    assert found(changes).calls.low == calls


@pytest.mark.parametrize(
    "changes", [{"data.source": {"uri": "s3://b/rows.jsonl"}}, {"data.from": {"run": "other"}}]
)
def test_where_no_teacher_is_asked_there_is_no_estimate(changes):
    assert estimate(spec(changes)) is None
    assert training_use(spec(changes)) is None


MORE = {  # what takes more at both ends: changes -> which figure
    "a longer task": ({"task": "answer riddles " * 200}, "input_tokens"),
    "a chain feeds back": ({"data.strategy": "chain"}, "input_tokens"),
    "more rows": ({"data.examples": 200}, "tokens"),
    "thoughts": ({"data.teacher.model": "gpt-6.1-sol"}, "output_tokens"),
    "thoughts cost": ({"data.teacher.model": "gpt-6.1-sol"}, "usd"),
    "few at a time": ({"data.teacher.maxConcurrency": 2}, "minutes"),
    "a rate": ({"data.teacher.requestsPerMinute": 5}, "minutes"),
    "a rate of tokens": ({"data.teacher.tokensPerMinute": 2000}, "minutes"),
    "one after another": ({"data.strategy": "chain"}, "minutes"),
}


def test_batches_cost_half_but_for_plan_and_system_message_and_take_up_to_a_day_each():
    live, batch = found(), found(PLAIN | {"data.teacher": {"model": "gpt-4.1", "mode": "batch"}})
    assert 0.5 * live.usd.low < batch.usd.low < 0.6 * live.usd.low
    assert 0.5 * live.usd.high < batch.usd.high < 0.6 * live.usd.high
    assert (batch.calls, batch.tokens) == (live.calls, live.tokens)
    assert batch.spare_usd == live.spare_usd / 2
    assert batch.minutes == Range(5, 2 * 24 * 60)


@pytest.mark.parametrize(("changes", "figure"), MORE.values(), ids=MORE)
def test_each_setting_moves_the_estimate_its_own_way(changes, figure):
    before, after = getattr(found(), figure), getattr(found(changes), figure)
    assert after.low > before.low
    assert after.high > before.high


LESS = {
    "effort": {"data.teacher.model": "gpt-6.1-sol", "data.teacher.reasoningEffort": "low"},
    "no thoughts, as vLLM is told": {
        "data.teacher.model": "Qwen/Qwen3-8B",
        "data.teacher.body": {"chat_template_kwargs": {"enable_thinking": False}},
    },
    "no thoughts, as DeepSeek is told": {
        "data.teacher.model": "deepseek-flash",
        "data.teacher.body": {"thinking": {"type": "disabled"}},
    },
}


@pytest.mark.parametrize("changes", LESS.values(), ids=LESS)
def test_what_is_said_of_thoughts_is_in_the_estimate(changes):
    thinking = {"data.teacher.model": changes["data.teacher.model"]}
    assert found(changes).output_tokens.high < found(thinking).output_tokens.high


def test_answers_never_are_longer_than_they_may_be():
    assert found({"data.maxTokens": 64}).output_tokens.high < 132 * 64 + 2800


def test_an_unknown_price_is_unknown():
    assert found({"data.teacher.model": "ours"}).usd is None
    assert found({"data.teacher.systemMessageModel": "ours"}).usd is None


SEEN = [
    Seen("plan", 400, 900, 8.0),
    Seen("text", 200, 60, 1.0),
    Seen("pairs", 500, 150, 2.0),
    Seen("pairs", 520, 250, 3.0),
]


def test_answers_that_were_seen_narrow_it():
    before, after = found(), found(seen=SEEN)
    assert before.tokens.low < after.tokens.low < after.tokens.high < before.tokens.high
    assert after.calls == before.calls
    assert after.input_tokens.low == 400 + 200 + 100 * 510
    assert after.output_tokens.low == pytest.approx(900 + 60 + 100 * 200 * 0.7)
    assert after.seen == 4
    assert training_use(spec(), SEEN).tokens.high < training_use(spec()).tokens.high


LIMITS = {  # budget -> verdict of each limit
    "none": ({}, {}),
    "ample": ({"maxTokens": 10**7, "maxUSD": 100, "maxRequests": 500}, ["fits"] * 3),
    "the issue's: 14 rows for 9,000 tokens": ({"maxTokens": 9000}, ["cannot fit"]),
    "between": ({"maxTokens": 60_000, "maxUSD": 0.3, "maxRequests": 110}, ["may not fit"] * 3),
    "cents": ({"maxUSD": 0.01}, ["cannot fit"]),
    "as many requests as calls": ({"maxRequests": 102}, ["may not fit"]),
    "one less": ({"maxRequests": 101}, ["cannot fit"]),
}


@pytest.mark.parametrize(("budget", "verdicts"), LIMITS.values(), ids=LIMITS)
def test_the_budget_beside_it(budget, verdicts):
    whole = spec({"data.budget": budget})
    beside = limits(whole, estimate(whole))
    assert sorted(limit.verdict for limit in beside) == sorted(verdicts)
    problems = list(cost_text.refusals(beside))
    assert len(problems) == list(verdicts).count("cannot fit")
    assert all(problem.path.startswith("spec.data.budget.max") for problem in problems)
    warned = [limit for limit in beside if limit.verdict != "fits"]
    assert len(list(cost_text.over(beside))) == len(warned)


def test_a_limit_that_is_enough_for_the_low_end_must_leave_room_for_the_last_call_to_start():
    short = found()
    whole = spec({"data.budget": {"maxTokens": int(short.tokens.low) + 10}})
    assert [limit.verdict for limit in limits(whole, estimate(whole))] == ["cannot fit"]


TRAINING = {  # changes -> rows, steps
    "built-in": ({}, (90, 69)),
    "an epoch": ({"training.numTrainEpochs": 1}, (90, 23)),
    "half an epoch": ({"training.numTrainEpochs": 0.5}, (90, 12)),
    "accumulated": ({"training.gradientAccumulationSteps": 4}, (90, 18)),
    "a limit": ({"training.maxSteps": 10}, (90, 10)),
    "a validation split": ({"data.split": {"validation": 0.1}}, (80, 60)),
}


@pytest.mark.parametrize(("changes", "expected"), TRAINING.values(), ids=TRAINING)
def test_training(changes, expected):
    use = training_use(spec(changes))
    assert (use.rows, use.steps) == expected


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-6.1-sol", "ours"])
@pytest.mark.parametrize("budget", [{}, {"maxTokens": 9000, "maxUSD": 1, "maxRequests": 3}])
def test_it_fits_80_columns(model, budget):
    whole = spec({"data.teacher.model": model, "data.budget": budget, "data.examples": 1_000_000})
    result = estimate(whole)
    beside = limits(whole, result)
    table = cost_text.estimate_table(whole, result, beside).splitlines()
    lines = [
        *cost_text.estimate_lines(whole, result, beside),
        *table,
        cost_text.training_line(training_use(whole)),
    ]
    assert [line for line in lines if len(line) > 80] == []
    assert ("unknown" in "\n".join(table)) == (model == "ours")


NUMBERS = {
    0.0001: "0.0001",
    0.034: "0.034",
    1.234: "1.23",
    12.34: "12.3",
    102: "102",
    1234: "1,230",
    1_300_002: "1.3M",
}


@pytest.mark.parametrize(
    ("value", "text"),
    NUMBERS.items(),
)
def test_numbers_have_the_digits_that_an_estimate_has(value, text):
    assert cost_text.number(value) == text


@pytest.mark.parametrize(
    ("minutes", "text"), [(0.001, "1 s"), (0.5, "30 s"), (2, "2 min"), (61, "61 min"), (150, "2.5 h")]
)
def test_times(minutes, text):
    assert cost_text.duration(minutes) == text


def test_ranges():
    assert Range(1, 2) + Range(3, 4) == Range(4, 6)
    assert Range(1, 2) * Range(3, 4) == Range(3, 8)
    assert Range(1, 9).at_most(5) == Range(1, 5)
    assert Limit("maxTokens", 5, 5, 5).verdict == "fits"
    assert cost.ROOM > 0
