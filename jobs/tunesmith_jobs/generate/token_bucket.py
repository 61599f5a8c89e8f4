"""A token bucket: how much may start now, and when the rest may. The clock is an argument, in seconds."""

from dataclasses import dataclass


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
        """Take `cost`; a negative cost is given back."""
        self._fill(now)
        self.level = min(self.capacity, self.level - cost)

    def _fill(self, now: float) -> None:
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = max(self.at, now)


def requests_bucket(per_minute: int, now: float) -> Bucket:
    """At most `per_minute` starts in any minute: evenly spaced, no burst."""
    return Bucket(rate=per_minute / 60, capacity=1.0, level=1.0, at=now)


def tokens_bucket(per_minute: int, now: float) -> Bucket:
    """At most `per_minute` tokens in any minute, a sixth of them at once."""
    burst = per_minute / 6
    return Bucket(rate=(per_minute - burst) / 60, capacity=burst, level=burst, at=now)
