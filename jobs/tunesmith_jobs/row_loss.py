"""A model's loss on one row."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RowLoss:
    """Loss on the response of one row: `nats` over `tokens`, the end-of-turn token among them.

    The two are kept apart rather than divided, so that the loss of a split is that of all its tokens.
    """

    nats: float
    tokens: int

    @property
    def per_token(self) -> float | None:
        """Nats per token; None for a row of which no token is left."""
        return self.nats / self.tokens if self.tokens else None
