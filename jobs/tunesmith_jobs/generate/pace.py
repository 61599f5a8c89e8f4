"""How fast requests may start, learnt from what the endpoint refuses. The clock is an argument, in seconds.

Nothing is known at first, so the starts ramp up exponentially, as in TCP's slow start, until the endpoint
refuses one or nothing waits any more. All then pause for as long as the endpoint says. What it accepted since
the pause before, over the time until this pause ends, is the rate at which it refills: the starts keep to it
and grow carefully beyond it, the more so the more it rests on.
"""

import math
from dataclasses import dataclass

FREE = 10  # requests at once while nothing is known
RAMP_SHARE, RAMP_LEAST, RAMP_MOST = 0.22, 0.02, 0.5  # the ramp's time constant: a share of a round trip, in s
RAMP_UNKNOWN = 0.1  # the same before any answer
GROWTH = 0.5  # of the rate each second, over the requests that the rate rests on
GROWTH_MOST, GROWTH_LEAST = 0.2, 0.005
AGAIN = 1.3  # times a rate: within that it was found again
CUT = 0.7  # of a rate that held for long before it was refused
GAIN = 1.07  # times the rate that was learnt: what was saved up during the pause is used too
LONG = 5.0  # pauses: below that, what the endpoint saved up during a pause counts
MEMORY = 120.0  # seconds of an episode that count
DELAY_MOST, DELAY_DECAY = 1.0, 0.9  # seconds of a refusal's way that count; what stays of it with each
OVERDUE, OVERDUE_STARTS = 3.0, 4  # seconds, and starts at the rate, after which an endpoint is away
CATCH_UP = 0.02  # seconds by which starts may lag and still keep the rate


@dataclass
class Pace:
    """The starts of requests, between two pauses and over them."""

    rate: float = math.inf  # a second; infinite as long as no limit is known
    found: float = 0.0  # the rate as it was learnt
    rests_on: float = 0.0  # so many requests
    growth: float = 0.0  # of the rate, with each start
    free: int = FREE
    accepted: float = 0.0  # in this episode, since the last pause: started and not refused
    begun: float = 0.0  # this episode
    last: float = 0.0  # the last start
    held: bool = False  # something had to wait in this episode
    next_at: float = -math.inf
    delay: float = 0.0  # seconds until a refusal comes

    def wait(self, now: float) -> float:
        """Seconds until the next request may start."""
        return max(0.0, self.next_at - now)

    def start(self, now: float, round_trip: float, *, alone: bool) -> None:
        """A request starts. `round_trip`: of an answer, 0 if unknown; `alone`: no other is under way."""
        if alone and not self.held:  # until now the endpoint was not asked for all that it gives
            self.begun, self.accepted = now, 0.0
        if now - self.begun > MEMORY:
            self.begun = (self.begun + now) / 2
            self.accepted /= 2
        gap = 1 / self.rate
        if now < self.next_at + gap:  # it started because it might, not because it came so late
            self.rate += self.growth
        self.accepted += 1
        self.last = now
        if self.accepted < self.free:
            self.next_at = now
            return
        ramp = min(max(RAMP_SHARE * round_trip, RAMP_LEAST), RAMP_MOST) if round_trip else RAMP_UNKNOWN
        ramp = max(ramp, self.delay)
        self.next_at = max(self.next_at, now - CATCH_UP) + max(gap, ramp / self.accepted)

    def refused(self, seconds: float) -> None:
        """A request that had started was refused after so many seconds."""
        self.delay = min(DELAY_MOST, max(seconds, DELAY_DECAY * self.delay))
        self.accepted = max(0.0, self.accepted - 1)

    def resume(self, now: float) -> None:
        """A pause is over. If nothing was accepted since the one before, the episode goes on."""
        if self.accepted:
            active, whole = self.last - self.begun, now - self.begun
            rate = self.accepted / whole
            if self.rate < math.inf and active > LONG * (whole - active):
                rate = max(rate, CUT * self.rate)
            if not self.found / AGAIN < rate < AGAIN * self.found:
                self.rests_on = 0.0
            self.rests_on += self.accepted
            growth = min(GROWTH_MOST, max(GROWTH_LEAST, GROWTH / self.rests_on))
            self.growth = min(1.0, rate) * growth  # below one a second a start is much of a rate
            self.found, self.rate = rate, GAIN * rate
            self._begin(now)
        self.free, self.next_at = 1, -math.inf

    def overdue(self, now: float) -> bool:
        """Whether by the rate that was learnt something would have been accepted long ago."""
        return now - self.begun > max(OVERDUE, OVERDUE_STARTS / self.rate)

    def forget(self, now: float) -> None:
        """A pause is over, and nothing was accepted for long: the endpoint was away."""
        self.rate = math.inf
        self._begin(now)
        self.free, self.next_at = 1, -math.inf

    def _begin(self, now: float) -> None:
        self.accepted, self.begun, self.held = 0.0, now, False
