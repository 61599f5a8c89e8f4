"""How many requests may be under way at once. Arithmetic only: the clock is an argument, in seconds.

This is AIMD: the limit grows with every answer until the endpoint pushes back, then shrinks to 0.7 of
itself, at most once per round trip, so that one burst of refusals counts once.
"""

import math
from dataclasses import dataclass

START = 64  # requests at once before anything is known; an endpoint that takes fewer says so
CUT = 0.7
SLOW_START_STEP = 2.0  # per answer: triples the limit per round trip until the first refusal
RAMP, RAMP_SECONDS = 1.5, 0.05  # how fast the limit rises while nothing was refused
STEP, STEP_SHARE = 1.0, 0.05  # per round trip after that: one, or a twentieth of the limit
SMOOTHING = 0.1


@dataclass
class Concurrency:
    """The number of requests that may be under way."""

    most: int
    time_limit: float = math.inf  # of a request, seconds
    limit: float = 0.0
    slow_start: bool = True
    round_trip: float = 0.0  # smoothed, seconds
    answers: int = 0
    ramped: float = -math.inf  # when the limit last rose without an answer
    last_cut: float = -math.inf

    def __post_init__(self) -> None:
        self.limit = self.limit or float(min(START, self.most))

    def succeeded(self, seconds: float) -> None:
        """An answer came after so many seconds."""
        self.answers += 1
        if self.answers == 1:
            self.round_trip = seconds
        else:
            self.round_trip += SMOOTHING * (seconds - self.round_trip)
        if self.round_trip > self.time_limit / 4:
            return  # requests wait in the endpoint's queue, where more would only run into the time limit
        step = SLOW_START_STEP if self.slow_start else max(STEP / self.limit, STEP_SHARE)
        self.limit = min(float(self.most), self.limit + step)

    def ramp(self, now: float) -> float:
        """Raise a limit that is reached, if it may rise without an answer.

        Returns the seconds until it may, 0 if it rose.

        Endpoints refuse at once, so a while without a refusal is consent. The limit does not pass what an
        endpoint that answers one after another could do within the time limit.
        """
        ceiling = 0.0
        if self.answers and self.round_trip:
            ceiling = min(float(self.most), self.time_limit / self.round_trip)
        if not self.slow_start or self.limit >= ceiling:
            return math.inf
        if self.ramped == -math.inf:
            self.ramped = now
        wait = self.ramped + RAMP_SECONDS - now
        if wait > 0:
            return wait
        self.ramped = now
        self.limit = min(ceiling, self.limit * RAMP)
        return 0.0

    def congested(self, now: float) -> None:
        """The endpoint pushed back (429, overload, timeout)."""
        if now - self.last_cut >= max(self.round_trip, 0.5):
            self.last_cut = now
            self.limit = max(1.0, self.limit * CUT)
        self.slow_start = False
