"""How much may start now, and when the rest may. The clock is an argument, in seconds."""

from collections import deque
from dataclasses import dataclass, field

MINUTE = 60.0
SLOT = 0.1  # seconds: what started within one is counted together
EVEN, BURST = 0.98, 1 / 40  # of a limit on tokens: what is refilled in a minute, and what may start at once


@dataclass
class Bucket:
    """A token bucket. `rate` per second; `level` may fall below zero, for a cost above `capacity`."""

    rate: float
    capacity: float
    level: float
    at: float = 0.0

    def wait(self, now: float, cost: float) -> float:
        """Seconds until `cost` can be taken; 0: now."""
        self._fill(now)
        lacking = min(cost, self.capacity) - self.level
        return max(0.0, lacking / self.rate) if lacking > 1e-9 else 0.0

    def take(self, now: float, cost: float) -> None:
        """Take `cost`; a negative cost is given back, above the capacity if need be."""
        self._fill(now)
        self.level -= cost

    def _fill(self, now: float) -> None:
        if self.level < self.capacity:
            self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = max(self.at, now)


@dataclass
class TokensAMinute:
    """At most `limit` tokens in any minute, evenly spread."""

    limit: float
    even: Bucket
    total: float = 0.0  # of the last minute
    slots: deque[tuple[int, float]] = field(default_factory=deque)

    def wait(self, now: float, cost: float) -> float:
        """Seconds until `cost` can be taken; 0: now."""
        self._forget(now)
        lacking = self.total + min(cost, self.limit) - self.limit
        wait = self.even.wait(now, cost)
        for slot, tokens in self.slots:
            if lacking <= 1e-9:
                break
            lacking -= tokens
            wait = max(wait, (slot + 1) * SLOT + MINUTE - now)
        return wait

    def take(self, now: float, cost: float) -> None:
        """Take `cost`."""
        self._count(now, cost)
        self.even.take(now, cost)

    def settle(self, now: float, since: float, difference: float) -> None:
        """What started at `since` took so much more, or less, than was taken for it."""
        if since > now - MINUTE:
            self._count(since, difference)
        self.even.take(now, difference)

    def _count(self, at: float, tokens: float) -> None:
        slot = int(at / SLOT)
        self.total += tokens
        for index in range(len(self.slots) - 1, -1, -1):
            if self.slots[index][0] <= slot:
                if self.slots[index][0] == slot:
                    self.slots[index] = (slot, self.slots[index][1] + tokens)
                else:
                    self.slots.insert(index + 1, (slot, tokens))
                return
        self.slots.appendleft((slot, tokens))

    def _forget(self, now: float) -> None:
        while self.slots and (self.slots[0][0] + 1) * SLOT + MINUTE <= now:
            self.total -= self.slots.popleft()[1]


def requests_bucket(per_minute: int, now: float) -> Bucket:
    """At most `per_minute` starts in any minute: evenly spaced, no burst."""
    return Bucket(rate=per_minute / MINUTE, capacity=1.0, level=1.0, at=now)


def tokens_a_minute(per_minute: int, now: float) -> TokensAMinute:
    """At most `per_minute` tokens in any minute, a fortieth of them at once."""
    burst = BURST * per_minute
    even = Bucket(rate=EVEN * per_minute / MINUTE, capacity=burst, level=burst, at=now)
    return TokensAMinute(float(per_minute), even)
