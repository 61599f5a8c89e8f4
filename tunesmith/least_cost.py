"""What a resolved request takes at the least, and what of it can never come about. Pure.

Every value is known here, from request, preset, profile and built-in ones; what the request's own fields
contradict by themselves is in useless_rules.py. A bound here is one that no run can pass below: a request is
refused only for what is certain.
"""

from collections.abc import Iterator

from tunesmith.errors import BadRequest, Problem
from tunesmith.prices import check_prices, find_price, models_of, price_of_rows
from tunesmith.request import Spec
from tunesmith.settings import Data
from tunesmith.split_sizes import split_sizes

PLAN_ROOM = 4096  # room for the plan of a dataset, if `data.maxTokens` gives it no more


def refuse_useless(spec: Spec) -> None:
    """Raises one BadRequest with everything that would be paid for and can never be of use."""
    money = list(_money(spec.data))
    problems = [*money, *_budget(spec.data), *_batch_for_each_row(spec.data), *_early_stopping(spec)]
    if problems:
        reason = "PriceUnknown" if problems == money else ""
        raise BadRequest("the request could never be of use", reason=reason, problems=problems)


def least_requests(data: Data) -> int:
    """The fewest requests to the teacher that give all rows."""
    if not data.asks_teacher:
        return 0
    about_rows = data.examples * ((data.judge is not None) + data.agreement)
    return (
        -(-data.examples // data.pairs_of_a_call)
        + data.has_planned
        + (data.system_message is None)
        + about_rows
    )


def _money(data: Data) -> Iterator[Problem]:
    if not data.asks_teacher:
        return
    try:
        check_prices(models_of(data), data.budget)
    except BadRequest as error:
        yield from error.problems


def _budget(data: Data) -> Iterator[Problem]:
    """What no budget of this size can pay: a call is made only if the most that it can cost is left."""
    if not data.asks_teacher:
        return
    budget, needed = data.budget, least_requests(data)
    if 0 < budget.max_requests < needed:
        yield Problem(
            "spec.data.budget.maxRequests",
            f"{data.examples} examples take at least {needed} requests",
            budget.max_requests,
            "raise it, or ask for fewer examples, or for more pairsPerCall",
        )
    model, tokens, what = _largest_call(data)
    if 0 < budget.max_tokens < tokens:
        yield Problem(
            "spec.data.budget.maxTokens",
            f"is less than one call may take: {what} may have {tokens:,} tokens",
            budget.max_tokens,
            "raise it",
        )
    price = find_price(model, budget) if data.has_planned else price_of_rows(model, data)
    usd = tokens * price.output if price else 0.0
    if 0 < budget.max_usd < usd:
        yield Problem(
            "spec.data.budget.maxUSD",
            f"is less than one call may cost: {what} may have {tokens:,} tokens, {usd:.4f} USD",
            budget.max_usd,
            "raise it, or ask a cheaper teacher",
        )


def _largest_call(data: Data) -> tuple[str, int, str]:
    """Of the calls that every run makes, the one with the longest answer: model, tokens, and what it is."""
    if data.has_planned:
        return data.teacher.planner, max(data.max_tokens, PLAN_ROOM), "the plan"
    return data.teacher.model, data.max_tokens, "an answer"


def _batch_for_each_row(data: Data) -> Iterator[Problem]:
    if data.asks_teacher and data.strategy == "chain" and data.teacher.mode == "batch":
        yield Problem(
            "spec.data.teacher.mode",
            "would wait for a batch, up to a day, for each row: in a chain a row is asked for after the last",
            data.teacher.mode,
            "leave `strategy: chain` out, or set the mode to live",
        )


def _early_stopping(spec: Spec) -> Iterator[Problem]:
    data, patience = spec.data, spec.training.early_stopping_patience
    if not patience or not data.asks_teacher:
        return
    _, validation = split_sizes(data.examples, test=data.split.test, validation=data.split.validation)
    if validation == 0:
        yield Problem(
            "spec.training.earlyStoppingPatience",
            f"stops by validation rows, and {data.examples} examples leave none",
            patience,
            "ask for more examples or give data.split.validation a larger share; or set the patience to 0",
        )
