"""How many requests may be under way at once. Arithmetic only: the clock is an argument, in seconds.

This is AIMD: the limit grows with every answer until the endpoint pushes back, then shrinks to 0.7 of what
was under way, at most once per round trip, so that one burst of faults counts once.
"""

import math
from dataclasses import dataclass

START = 64  # requests at once before anything is known; an endpoint that takes fewer says so
CUT = 0.7
SLOW_START_STEP = 2.0  # per answer: triples the limit per round trip until the endpoint pushes back
STEP, STEP_SHARE = 1.0, 0.05  # per round trip after that: one, or a twentieth of the limit
CAREFUL = 0.1  # of that, where the endpoint was full
SMOOTHING = 0.1


@dataclass
class Concurrency:
    """The number of requests that may be under way."""

    most: int
    time_limit: float = math.inf  # of a request, seconds
    limit: float = 0.0
    slow_start: bool = True
    careful: float = 1.0
    round_trip: float = 0.0  # smoothed, seconds
    answers: int = 0
    last_cut: float = -math.inf

    def __post_init__(self) -> None:
        self.limit = self.limit or float(min(START, self.most))

    @property
    def allowed(self) -> int:
        """Requests that may be under way now.

        Until the endpoint pushes back they are as many as it could answer one after another within the time
        limit, if that is more: a start that it does not refuse is consent.
        """
        limit = self.limit
        if self.slow_start and self.round_trip:
            limit = max(limit, min(float(self.most), self.time_limit / self.round_trip))
        return int(limit)

    def succeeded(self, seconds: float) -> None:
        """An answer came after so many seconds."""
        self.answers += 1
        if self.answers == 1:
            self.round_trip = seconds
        else:
            self.round_trip += SMOOTHING * (seconds - self.round_trip)
        if self.round_trip > self.time_limit / 4:
            return  # requests wait in the endpoint's queue, where more would only run into the time limit
        step = SLOW_START_STEP if self.slow_start else self.careful * max(STEP / self.limit, STEP_SHARE)
        self.limit = min(float(self.most), self.limit + step)

    def congested(self, now: float, under_way: int) -> None:
        """The endpoint pushed back (overload, timeout) with so many requests under way."""
        if now - self.last_cut >= max(self.round_trip, 0.5):
            self.last_cut = now
            self.limit = max(1.0, min(float(self.allowed), under_way) * CUT)
        self.slow_start = False

    def full(self, under_way: int) -> None:
        """The endpoint takes no more requests than are under way."""
        self.limit = max(1.0, min(self.limit, under_way))
        self.slow_start, self.careful = False, CAREFUL

    def restart(self) -> None:
        """The endpoint was away: nothing is known of it any more."""
        self.limit = float(min(START, self.most))
        self.slow_start, self.careful = True, 1.0
