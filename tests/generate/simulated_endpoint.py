"""Endpoints on a simulated clock, and the stage's limiter in front of them."""

import heapq
import math
import random
from dataclasses import dataclass

from tunesmith_jobs.generate.limiter import make_limiter
from tunesmith_jobs.generate.token_bucket import Bucket


class Rate:
    """Takes `rate` requests a second, and `saved` at once."""

    def __init__(self, rate, saved=None):
        self.bucket = Bucket(rate, saved or rate, saved or rate)

    def takes(self, now, _busy):
        if self.bucket.wait(now, 1) > 0:
            return False
        self.bucket.take(now, 1)
        return True


@dataclass
class Busy:
    """Takes so many requests at once."""

    most: int

    def takes(self, _now, busy):
        return busy < self.most


@dataclass
class Storm:
    """Takes nothing from `begin` to `end`."""

    begin: float
    end: float

    def takes(self, now, _busy):
        return not self.begin <= now < self.end


@dataclass
class Outcome:
    """What came of it.

    `knowingly_refused`: of those that started when a refusal was known. `most_refused`: in one second.
    """

    seconds: float
    refused: int
    knowingly_refused: int
    most_in_flight: int
    most_refused: int


def simulate(endpoint, calls, latency, *, most=200, retry_after=1.0, delay=0.033, seed=5, until=100_000.0):
    """Two calls, as for a plan, then `calls` at once; a refusal is known after `delay` seconds."""
    limiter, draw = make_limiter(0.0, most=most, time_limit=180.0), random.Random(seed)
    now, busy, number, waiting, later = 0.0, 0, 0, 2, calls
    under_way, refusals = [], []
    knowingly = 0
    while waiting or under_way:
        assert now < until, "it makes no progress"
        while waiting and limiter.wait(now, 100) == 0:
            start = limiter.start(now, 100)
            waiting -= 1
            number += 1
            taken = endpoint.takes(now, busy)
            busy += taken
            seconds = latency(draw) if callable(latency) else latency
            heapq.heappush(under_way, (now + (seconds if taken else delay), number, taken, start))
        wait = limiter.wait(now, 100) if waiting else math.inf
        if under_way and under_way[0][0] <= now + wait:
            now, _, taken, start = heapq.heappop(under_way)
            if taken:
                limiter.succeeded(now - start.at)
                busy -= 1
            else:
                assert limiter.refused(now, retry_after, draw.random(), now - start.at) >= (
                    retry_after or 0.0
                )
                knowingly += bool(refusals) and start.at >= refusals[0]
                refusals.append(now)
                waiting += 1
            limiter.release(now, start, reserved=100, used=50 if taken else 0)
            if later and not waiting and not under_way:
                waiting, later = later, 0
        else:
            assert wait < math.inf, "nothing is under way, and nothing may start"
            now += wait + 1e-9
    most_refused = max((sum(at <= other < at + 1 for other in refusals) for at in refusals), default=0)
    return Outcome(now, len(refusals), knowingly, limiter.most_in_flight, most_refused)
