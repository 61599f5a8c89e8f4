"""An estimate in lines for people, each within 80 columns. Pure."""

from collections.abc import Iterable, Iterator

from tunesmith.cost import Estimate, Limit, Range, TrainingUse
from tunesmith.errors import Problem
from tunesmith.prices import find_price, models_of
from tunesmith.request import Spec


def estimate_lines(spec: Spec, found: Estimate, beside: Iterable[Limit]) -> Iterator[str]:
    """What generation takes, and the budget beside it."""
    yield f"estimate: teacher {spec.data.teacher.model}"
    low, high = number(found.calls.low), number(found.calls.high)
    yield f"  {low} calls, {high} if some are rejected; {_time(found.minutes)}"
    yield f"  {_span(found.tokens)} tokens; {_usd(spec, found)}"
    beside = list(beside)
    for limit in beside:
        yield f"budget: {limit.field} {number(limit.limit)}: {_words(limit)}"
    if not beside:
        yield "budget: none is set (data.budget: maxUSD, maxTokens, maxRequests)"


def estimate_table(spec: Spec, found: Estimate, beside: Iterable[Limit]) -> str:
    """A table of the ranges, with each limit of the budget and what becomes of it."""
    limit_of = {limit.field: limit for limit in beside}
    rows = [
        ("calls", found.calls, limit_of.get("maxRequests")),
        ("tokens asked", found.input_tokens, None),
        ("tokens answered", found.output_tokens, None),
        ("tokens", found.tokens, limit_of.get("maxTokens")),
        ("USD", found.usd, limit_of.get("maxUSD")),
    ]
    lines = [f"{'':16}{'LOW':>13}{'HIGH':>14}   BUDGET"]
    for name, span, limit in rows:
        ends = (number(span.low), number(span.high)) if span is not None else ("unknown", "unknown")
        budget = f"   {number(limit.limit)}: {_words(limit)}" if limit else ""
        lines.append(f"{name:16}{ends[0]:>13}{ends[1]:>14}{budget}".rstrip())
    ends = (duration(found.minutes.low), duration(found.minutes.high))
    lines.append(f"{'time':16}{ends[0]:>13}{ends[1]:>14}")
    if found.usd is None:
        lines.append(f"{_usd(spec, found)}: give it in data.budget.prices")
    return "\n".join(lines)


def training_line(use: TrainingUse) -> str:
    """What training takes."""
    return f"training: {number(use.rows)} rows a pass, {number(use.steps)} steps, {_span(use.tokens)} tokens"


def over(beside: Iterable[Limit]) -> Iterator[str]:
    """A warning for each limit that the estimate may pass."""
    for limit in beside:
        if limit.verdict != "fits":
            yield (
                f"warning: the estimate, up to {number(limit.most)}, is over spec.data.budget.{limit.field}, "
                f"{number(limit.limit)}"
            )


def refusals(beside: Iterable[Limit]) -> Iterator[Problem]:
    """A problem for each limit that can't be enough."""
    for limit in beside:
        if limit.verdict == "cannot fit":
            yield Problem(
                f"spec.data.budget.{limit.field}",
                f"at least {number(limit.least)} is needed, if every answer is short and usable",
                limit.limit,
                f"raise it ({number(limit.most)} is enough in any case), or ask for fewer examples",
            )


def number(value: float) -> str:
    """A number with as many digits as an estimate has: three at most, and cents of small amounts."""
    if value >= 1_000_000:
        return f"{float(f'{value / 1e6:.3g}'):,g}M"
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"


def duration(minutes: float) -> str:
    """Minutes as `5 s`, `12 min`, `3.5 h`."""
    if minutes < 2:
        return f"{max(1, round(60 * minutes))} s"
    return f"{number(minutes)} min" if minutes < 120 else f"{number(minutes / 60)} h"


def _words(limit: Limit) -> str:
    match limit.verdict:
        case "fits":
            return "fits"
        case "may not fit":
            return f"may not fit (needs {number(limit.least)} to {number(limit.most)})"
        case "cannot fit":
            return f"cannot fit (needs {number(limit.least)})"


def _span(span: Range) -> str:
    low, high = number(span.low), number(span.high)
    return low if low == high else f"{low} to {high}"


def _usd(spec: Spec, found: Estimate) -> str:
    if found.usd is not None:
        return f"{_span(found.usd)} USD"
    unpriced = [model for model in sorted(models_of(spec.data)) if not find_price(model, spec.data.budget)]
    return f"price of {' and '.join(unpriced)} not known"


def _time(minutes: Range) -> str:
    low, high = duration(minutes.low), duration(minutes.high)
    return low if low == high else f"{low} to {high}"
