"""What generation may cost: reserved before a call, settled after it, so that no limit is passed."""

import math
from dataclasses import dataclass

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Budget as Limits
from tunesmith_jobs.generate.calls import Answer, Call

# US dollars per 10^6 tokens, input and output, list prices of mid-2025. Prices change: the request's own go before these.
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


def find_price(model: str, limits: Limits) -> Price | None:
    """The request's price, else that of the built-in table, else None."""
    if limits.usd_per_million_input_tokens or limits.usd_per_million_output_tokens:
        return Price(limits.usd_per_million_input_tokens / 1e6, limits.usd_per_million_output_tokens / 1e6)
    entry = PRICES.get(model)
    return Price(entry[0] / 1e6, entry[1] / 1e6) if entry else None


class Ledger:
    """Money, tokens and requests: spent, and reserved for what is under way."""

    def __init__(self, limits: Limits, models: frozenset[str]) -> None:
        self.limits = limits
        self.prices = {model: find_price(model, limits) for model in models}
        unknown = sorted(model for model, price in self.prices.items() if price is None)
        if limits.max_usd and unknown:
            raise BadRequest(
                "maxUSD is set, but the price of the teacher is not known",
                reason="PriceUnknown",
                problems=[
                    Problem(
                        "spec.data.budget.maxUSD",
                        f"no price for {', '.join(unknown)}",
                        limits.max_usd,
                        "set usdPerMillionInputTokens and usdPerMillionOutputTokens, or limit with maxTokens or maxRequests",
                    )
                ],
            )
        self.usd = 0.0
        self.tokens = 0
        self.requests = 0
        self._reserved_usd = 0.0
        self._reserved_tokens = 0

    @property
    def priced(self) -> bool:
        """Whether `usd` counts everything."""
        return None not in self.prices.values()

    def cost(self, model: str, input_tokens: int, output_tokens: int) -> float:
        """US dollars; 0 where the price is not known."""
        price = self.prices.get(model) or find_price(model, self.limits)
        return input_tokens * price.input + output_tokens * price.output if price else 0.0

    def reserve(self, call: Call) -> bool:
        """Reserve the most that a call can cost; False if that would pass a limit."""
        tokens = call.input_tokens + call.max_tokens
        usd = self.cost(call.model, call.input_tokens, call.max_tokens)
        limits = self.limits
        if limits.max_requests and self.requests + 1 > limits.max_requests:
            return False
        if limits.max_tokens and self.tokens + self._reserved_tokens + tokens > limits.max_tokens:
            return False
        if limits.max_usd and self.usd + self._reserved_usd + usd > limits.max_usd + 1e-12:
            return False
        self.requests += 1
        self._reserved_tokens += tokens
        self._reserved_usd += usd
        return True

    def settle(self, call: Call, answer: Answer | None) -> None:
        """Replace a reservation by what the answer cost; None: nothing was answered, nothing is paid."""
        self._reserved_tokens -= call.input_tokens + call.max_tokens
        self._reserved_usd -= self.cost(call.model, call.input_tokens, call.max_tokens)
        if math.isclose(self._reserved_usd, 0.0, abs_tol=1e-12):
            self._reserved_usd = 0.0
        if answer is not None:
            self._spend(call.model, answer)

    def spent_before(self, model: str, answer: Answer) -> None:
        """Count an answer of an earlier attempt of this run."""
        self.requests += 1
        self._spend(model, answer)

    def _spend(self, model: str, answer: Answer) -> None:
        self.tokens += answer.input_tokens + answer.output_tokens
        self.usd += self.cost(model, answer.input_tokens, answer.output_tokens)

    def __str__(self) -> str:
        usd = f"{self.usd:.4f} USD, " if self.priced else ""
        return f"{usd}{self.tokens} tokens, {self.requests} requests"
