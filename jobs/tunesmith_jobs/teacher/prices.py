"""What teachers cost: the request's own prices, else list prices by the name of the model."""

from collections.abc import Iterable
from dataclasses import dataclass

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Budget, Data

# US dollars per 10^6 tokens, input and output: list prices of mid-2025. Prices change, so the request's own
# come first.
PRICES = {
    "gpt-4": (30.0, 60.0),
    "gpt-4-turbo": (10.0, 30.0),
    "gpt-4.1": (2.0, 8.0),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-mini": (0.15, 0.6),
    "gpt-3.5-turbo": (0.5, 1.5),
    "gpt-5": (1.25, 10.0),
    "gpt-5-mini": (0.25, 2.0),
    "gpt-5-nano": (0.05, 0.4),
    "o3": (2.0, 8.0),
    "o4-mini": (1.1, 4.4),
}


@dataclass(frozen=True)
class Price:
    """US dollars per token."""

    input: float
    output: float


def models_of(data: Data) -> frozenset[str]:
    """The models that a request asks."""
    further = (data.teacher.system_message_model, data.judge.model if data.judge else "")
    return frozenset({data.teacher.model, *filter(None, further)})


def find_price(model: str, budget: Budget) -> Price | None:
    """The request's price, else that of the built-in table, else None."""
    if budget.usd_per_million_input_tokens or budget.usd_per_million_output_tokens:
        return Price(budget.usd_per_million_input_tokens / 1e6, budget.usd_per_million_output_tokens / 1e6)
    if model not in PRICES:
        return None
    input_price, output_price = PRICES[model]
    return Price(input_price / 1e6, output_price / 1e6)


def check_prices(models: Iterable[str], budget: Budget) -> None:
    """Raise BadRequest (PriceUnknown) if the budget limits money and a model has no price."""
    unpriced = sorted(model for model in models if find_price(model, budget) is None)
    if not budget.max_usd or not unpriced:
        return
    problem = Problem(
        "spec.data.budget.maxUSD",
        f"no price for {', '.join(unpriced)}",
        budget.max_usd,
        "set usdPerMillionInputTokens and usdPerMillionOutputTokens, or limit with maxTokens or maxRequests",
    )
    raise BadRequest(
        "maxUSD is set, but the price of the teacher is not known",
        reason="PriceUnknown",
        problems=[problem],
    )
