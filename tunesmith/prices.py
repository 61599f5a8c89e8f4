"""What teachers cost: the request's own prices, those that it or its profile gives by name, list prices.
Pure.

List prices are US dollars per 10^6 tokens of the standard tier and of short prompts, on the providers' own
pages as read or reported on the day that stands above each part. They change, so what a request or a profile
says comes first. Not counted: what some providers add for writing to their caches (a quarter of the input),
and what they take off at night. Of a price that is lowered for some weeks, the table has the
one that holds after them: a budget is then kept rather too well.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Budget, Data, ModelPrices
from tunesmith.url_patterns import like

_MILLION = 1e6
_OPENAI: Mapping[str, tuple[float, float, float]] = {
    # https://developers.openai.com/api/docs/pricing, 2026-10-27; 6.2: 2026-11
    "gpt-6.2-astra": (8.0, 0.4, 40.0),
    "gpt-6.2-sol": (2.0, 0.1, 10.0),
    "gpt-6.1-sol": (2.0, 0.1, 10.0),
    "gpt-6.1-terra": (1.0, 0.05, 5.0),
    "gpt-6-astra": (10.0, 1.0, 50.0),
    "gpt-6-sol": (2.0, 0.2, 10.0),
    "gpt-6-luna": (0.1, 0.01, 0.5),
    "gpt-5.6-sol": (4.0, 0.4, 20.0),
    "gpt-5.6-terra": (2.0, 0.2, 12.0),
    "gpt-5.6-luna": (0.2, 0.02, 1.2),
    "gpt-5.5": (5.0, 0.5, 30.0),
    "gpt-5.4": (2.5, 0.25, 15.0),
    "gpt-5.4-mini": (0.75, 0.075, 4.5),
    "gpt-5.4-nano": (0.2, 0.02, 1.25),
    "gpt-5.2": (1.75, 0.175, 14.0),
    "gpt-5.1": (1.25, 0.125, 10.0),
    # They end on 2026-12-11: https://developers.openai.com/api/docs/deprecations
    "gpt-5": (1.25, 0.125, 10.0),
    "gpt-5-mini": (0.25, 0.025, 2.0),
    "gpt-5-nano": (0.05, 0.005, 0.4),
    "o3": (2.0, 0.5, 8.0),
    # They end on 2027-01-14.
    "gpt-4.1": (2.0, 0.5, 8.0),
    "gpt-4.1-mini": (0.4, 0.1, 1.6),
    "gpt-4o": (2.5, 1.25, 10.0),
    "gpt-4o-mini": (0.15, 0.075, 0.6),
    # OpenAI has ended them on 2026-10-23; others may still serve them. gpt-4 is the teacher of preset
    # original.
    "gpt-4.1-nano": (0.1, 0.025, 0.4),
    "gpt-4": (30.0, 30.0, 60.0),
    "gpt-4-turbo": (10.0, 10.0, 30.0),
    "gpt-3.5-turbo": (0.5, 0.5, 1.5),
    "o4-mini": (1.1, 0.275, 4.4),
}
_ANTHROPIC: Mapping[str, tuple[float, float, float]] = {
    # https://platform.claude.com/docs, 2026-10; of Haiku 5.5 prompts up to 100,000 tokens
    "claude-opus-5-5": (4.0, 0.2, 20.0),
    "claude-sonnet-5-5": (2.0, 0.1, 10.0),
    "claude-haiku-5-5": (0.1, 0.01, 0.5),
    "claude-fable-5-1": (10.0, 1.0, 50.0),
    "claude-opus-5": (5.0, 0.5, 25.0),
    "claude-sonnet-5": (2.0, 0.2, 10.0),
    "claude-haiku-4-5": (1.0, 0.1, 5.0),
    # 2026-07-29
    "claude-opus-4-8": (5.0, 0.5, 25.0),
    "claude-opus-4-7": (5.0, 0.5, 25.0),
    "claude-opus-4-6": (5.0, 0.5, 25.0),
    "claude-opus-4-5": (5.0, 0.5, 25.0),
    "claude-sonnet-4-6": (3.0, 0.3, 15.0),
    "claude-sonnet-4-5": (3.0, 0.3, 15.0),
}
_GOOGLE: Mapping[str, tuple[float, float, float]] = {
    # https://ai.google.dev/gemini-api/docs/pricing, 2026-10-07; prompts up to 200,000 tokens. 4: 2026-11.
    "gemini-4-neon": (3.0, 0.15, 15.0),
    "gemini-4-hydrogen": (1.5, 0.075, 7.5),
    "gemini-3.8-flash": (1.5, 0.15, 7.5),  # half of it until 2026-12-31, as the next two
    "gemini-3.7-flash": (1.5, 0.15, 7.5),
    "gemini-3.6-flash": (1.5, 0.15, 7.5),
    "gemini-3.5-flash": (1.5, 0.15, 9.0),
    "gemini-3.5-flash-lite": (0.3, 0.03, 2.5),
    "gemini-3.1-pro-preview": (2.0, 0.2, 12.0),
    "gemini-3.1-flash-lite": (0.25, 0.025, 1.5),
    "gemini-2.5-pro": (1.25, 0.125, 10.0),
    "gemini-2.5-flash": (0.3, 0.03, 2.5),
    "gemini-2.5-flash-lite": (0.1, 0.01, 0.4),
}
_OTHERS: Mapping[str, tuple[float, float, float]] = {
    # https://api-docs.deepseek.com/quick_start/pricing, 2026-10-27; at peak hours, twice that of the others
    "deepseek-flash": (0.3, 0.006, 1.2),
    "deepseek-v4-flash": (0.3, 0.006, 1.2),
    "deepseek-v4-pro": (1.32, 0.044, 3.96),
    # https://mistral.ai/pricing, 2026-06-09
    "mistral-large-2512": (0.5, 0.05, 1.5),
    "mistral-small-2603": (0.15, 0.015, 0.6),
}
# Model -> input, cached input, output.
PRICES: Mapping[str, tuple[float, float, float]] = {**_OPENAI, **_ANTHROPIC, **_GOOGLE, **_OTHERS}

# Share of a price that a batch costs, of what is asked and answered: with OpenAI
# (https://developers.openai.com/api/docs/pricing), Azure's global batch
# (https://learn.microsoft.com/azure/ai-services/openai/how-to/batch), Anthropic, and Google
# (https://ai.google.dev/gemini-api/docs/batch-api), 2026-11. Together has it for some models only
# (https://docs.together.ai/docs/batch-inference.md).
BATCH_SHARE = 0.5

_OF_PROVIDER = re.compile(
    r"^(models|openai|anthropic|google|deepseek|mistralai)/"
)  # as routers and Gemini list them
_DATED = re.compile(r"[-@](20[0-9]{2}-[0-9]{2}-[0-9]{2}|20[0-9]{6}|latest)$")


@dataclass(frozen=True)
class Price:
    """US dollars per token: asked, answered, and asked and found in the endpoint's cache.

    `batch_share`: what a batch costs of it.
    """

    input: float
    output: float
    cached_input: float
    batch_share: float = BATCH_SHARE

    @property
    def in_batch(self) -> "Price":
        """The price in a batch.

        Google and Groq take nothing off what is in their caches there, so the cached price is not lowered; it
        is never more than that of other input.
        """
        asked = self.input * self.batch_share
        return replace(
            self,
            input=asked,
            output=self.output * self.batch_share,
            cached_input=min(self.cached_input, asked),
        )

    def cost(self, input_tokens: float, output_tokens: float, cached_tokens: float = 0) -> float:
        """US dollars. `cached_tokens` are among those of the input."""
        fresh = input_tokens - cached_tokens
        return fresh * self.input + cached_tokens * self.cached_input + output_tokens * self.output


def price_of(model: str) -> Price | None:
    """The list price of a model; None if it is not in the table.

    A dated version costs what its model costs.
    """
    name = _OF_PROVIDER.sub("", model.lower())
    row = PRICES.get(name) or PRICES.get(_DATED.sub("", name))
    if row is None:
        return None
    asked, cached, answered = row
    return Price(asked / _MILLION, answered / _MILLION, cached / _MILLION)


def find_price(model: str, budget: Budget) -> Price | None:
    """What a model costs a request: by its budget's own price, else by the budget's prices, else by the
    table.
    """
    if budget.usd_per_million_input_tokens or budget.usd_per_million_output_tokens:
        asked = budget.usd_per_million_input_tokens / _MILLION
        return Price(asked, budget.usd_per_million_output_tokens / _MILLION, asked)
    given = _given(model, budget.prices)
    return price_of(model) if given is None else _as_price(given)


def _given(model: str, prices: Mapping[str, ModelPrices]) -> ModelPrices | None:
    """The price under the name that fits best: the model's own, else the longest pattern."""
    if model in prices:
        return prices[model]
    patterns = [pattern for pattern in prices if like(model, pattern)]
    return prices[max(patterns, key=lambda pattern: (len(pattern), pattern))] if patterns else None


def _as_price(prices: ModelPrices) -> Price:
    asked = prices.usd_per_million_input_tokens
    cached = prices.usd_per_million_cached_input_tokens
    return Price(
        asked / _MILLION,
        prices.usd_per_million_output_tokens / _MILLION,
        (asked if cached is None else cached) / _MILLION,
        prices.batch_share,
    )


def price_of_rows(model: str, data: Data) -> Price | None:
    """What a model costs a request for its rows: in a batch, if they are asked for in batches."""
    price = find_price(model, data.budget)
    return price.in_batch if price and data.teacher.mode == "batch" else price


def models_of(data: Data) -> frozenset[str]:
    """The models that a request asks."""
    further = (data.teacher.system_message_model, data.judge.model if data.judge else "")
    return frozenset({data.teacher.model, *filter(None, further)})


def check_prices(models: Iterable[str], budget: Budget) -> None:
    """Raise BadRequest (PriceUnknown) if the budget limits money and a model has no price."""
    unpriced = sorted(model for model in models if find_price(model, budget) is None)
    if not budget.max_usd or not unpriced:
        return
    problem = Problem(
        "spec.data.budget.maxUSD",
        f"no price for {', '.join(unpriced)}",
        budget.max_usd,
        "set usdPerMillionInputTokens and usdPerMillionOutputTokens or data.budget.prices, "
        "or limit with maxTokens or maxRequests",
    )
    raise BadRequest(
        "maxUSD is set, but the price of the teacher is not known",
        reason="PriceUnknown",
        problems=[problem],
    )
