"""What generation may cost: reserved before a call and settled after it, so that no limit is passed."""

import math

from tunesmith.errors import BadData
from tunesmith.prices import check_prices, find_price
from tunesmith.settings import Budget
from tunesmith_jobs.teacher.calls import Answer, Call


class BudgetSpent(BadData):
    """The budget does not allow another call."""


class Ledger:
    """Money, tokens and requests: spent, and reserved for calls under way."""

    def __init__(self, budget: Budget, models: frozenset[str]) -> None:
        check_prices(models, budget)
        self.budget = budget
        self.prices = {model: find_price(model, budget) for model in models}
        self.usd = 0.0
        self.tokens = 0
        self.requests = 0
        self._reserved_usd = 0.0
        self._reserved_tokens = 0

    @property
    def priced(self) -> bool:
        """Whether `usd` counts everything."""
        return None not in self.prices.values()

    def cost(
        self,
        model: str,
        input_tokens: int,
        output_tokens: int,
        cached_tokens: int = 0,
        *,
        in_batch: bool = False,
    ) -> float:
        """US dollars; 0 if the price is not known. `cached_tokens` are among those of the input."""
        price = self.prices.get(model) or find_price(model, self.budget)
        if price and in_batch:
            price = price.in_batch
        return price.cost(input_tokens, output_tokens, cached_tokens) if price else 0.0

    def cost_of(self, model: str, answer: Answer) -> float:
        """US dollars that an answer cost; 0 if the price is not known."""
        asked, answered, cached = answer.input_tokens, answer.output_tokens, answer.cached_tokens
        return self.cost(model, asked, answered, cached, in_batch=answer.in_batch)

    def reserve(self, call: Call, *, in_batch: bool = False) -> bool:
        """Reserve the most that a call can cost; False if that would pass a limit."""
        usd = self.cost(call.model, call.input_tokens, call.most_output, in_batch=in_batch)
        tokens_after = self.tokens + self._reserved_tokens + call.most_tokens
        usd_after = self.usd + self._reserved_usd + usd
        if self.budget.max_requests and self.requests + 1 > self.budget.max_requests:
            return False
        if self.budget.max_tokens and tokens_after > self.budget.max_tokens:
            return False
        if self.budget.max_usd and usd_after > self.budget.max_usd + 1e-12:
            return False
        self.requests += 1
        self._reserved_tokens += call.most_tokens
        self._reserved_usd += usd
        return True

    def settle(self, call: Call, answer: Answer | None, *, in_batch: bool = False) -> None:
        """Replace a reservation by what the answer cost. Without an answer nothing is paid."""
        self._reserved_tokens -= call.most_tokens
        self._reserved_usd -= self.cost(call.model, call.input_tokens, call.most_output, in_batch=in_batch)
        if math.isclose(self._reserved_usd, 0.0, abs_tol=1e-12):
            self._reserved_usd = 0.0
        if answer is not None:
            self._spend(call.model, answer)

    def spent_before(self, model: str, answer: Answer) -> None:
        """Count an answer of an earlier attempt of this run."""
        self.requests += 1
        self._spend(model, answer)

    def _spend(self, model: str, answer: Answer) -> None:
        self.tokens += answer.tokens
        self.usd += self.cost_of(model, answer)

    def spent(self) -> BudgetSpent:
        """The error for a call that cannot be reserved any more."""
        return BudgetSpent(
            f"the budget is spent: {self}",
            reason="BudgetSpent",
            remedy="raise data.budget (that changes no key, and what is paid for is used), "
            "or ask for fewer examples",
        )

    def __str__(self) -> str:
        usd = f"{self.usd:.4f} USD, " if self.priced else ""
        return f"{usd}{self.tokens} tokens, {self.requests} requests"
