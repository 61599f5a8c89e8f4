"""How many requests may be under way, and when the next may start. Arithmetic only: the clock is an argument, in seconds.

Concurrency is AIMD: it grows with every answer until the endpoint pushes back, then shrinks to 0.7 of itself, at most once per round
trip, so that one burst of refusals counts once. Requests and tokens a minute are token buckets. A `Retry-After` stops everything; after
the second time, requests are spaced as the endpoint was seen to take them, a little faster with every answer.
"""

import math
from dataclasses import dataclass, field

PACE_STEP = 0.1  # requests a second, per answer: a tenth more each second
START = 64  # requests at once before anything is known; an endpoint that says less is believed
CUT = 0.7
SLOW_START_STEP = 2.0  # per answer: triples the limit per round trip until the first refusal
RAMP, RAMP_SECONDS = 1.5, 0.05  # how fast the limit rises while nothing was refused
STEP, STEP_SHARE = 1.0, 0.05  # per round trip, after it: one, or a twentieth of the limit
SMOOTHING = 0.1
ACCEPTED_LEAST = 5  # requests between two pauses that tell a rate


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
        self.round_trip = (
            seconds if self.answers == 1 else self.round_trip + SMOOTHING * (seconds - self.round_trip)
        )
        if self.round_trip > self.time_limit / 4:
            return  # requests wait in the endpoint's queue, where more would only run into the time limit
        step = SLOW_START_STEP if self.slow_start else max(STEP / self.limit, STEP_SHARE)
        self.limit = min(float(self.most), self.limit + step)

    def ramp(self, now: float) -> float:
        """Raise a limit that is reached, if it may rise without an answer; seconds until it may, 0 if it rose.

        Endpoints refuse at once, so a while without a refusal is consent. Not beyond what an endpoint that answers one after another
        could do within the time limit.
        """
        ceiling = (
            min(float(self.most), self.time_limit / self.round_trip)
            if self.answers and self.round_trip
            else 0.0
        )
        if not self.slow_start or self.limit >= ceiling:
            return math.inf
        if self.ramped == -math.inf:
            self.ramped = now
        if (wait := self.ramped + RAMP_SECONDS - now) > 0:
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


@dataclass
class Bucket:
    """A token bucket. `rate` per second; `level` may go below zero, for what costs more than `capacity`."""

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
        """Take `cost`; a negative one gives back."""
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


@dataclass
class Gates:
    """All of it together. `requests`, `tokens`: what the request sets; the endpoint's own buckets come from its headers."""

    concurrency: Concurrency
    own: list[tuple[str, Bucket]] = field(default_factory=list)
    announced: dict[str, Bucket] = field(default_factory=dict)
    live: Bucket | None = None  # a limit from outside that changes while the stage runs
    pace: Bucket | None = (
        None  # requests a second that the endpoint was seen to take; known after two bursts of refusals
    )
    paused_until: float = -math.inf
    in_flight: int = 0
    refusals: int = 0  # bursts in a row
    accepted: int = 0  # since `resumed`: started and not refused
    resumed: float | None = None  # when the last pause ended

    def wait(self, now: float, tokens: int) -> float:
        """Seconds until a request that may use `tokens` can start. 0: now; infinity: not before another one ends."""
        if self.in_flight >= int(self.concurrency.limit):
            wait = self.concurrency.ramp(now)
            if self.in_flight >= int(self.concurrency.limit):
                return wait or math.inf
        waits = [bucket.wait(now, 1.0 if kind == "requests" else tokens) for kind, bucket in self._buckets()]
        return max([0.0, self.paused_until - now, *waits])

    def start(self, now: float, tokens: int) -> None:
        """A request starts."""
        if self.paused_until > (-math.inf if self.resumed is None else self.resumed):
            self._learn_pace(now)
        self.in_flight += 1
        self.accepted += 1
        for kind, bucket in self._buckets():
            bucket.take(now, 1.0 if kind == "requests" else tokens)

    def succeeded(self, now: float, seconds: float, *, reserved: int, used: int) -> None:
        """An answer came; `reserved` tokens were taken for it, `used` is what it cost."""
        self.refusals = 0
        self.concurrency.succeeded(seconds)
        if self.pace is not None:
            self.pace.rate += PACE_STEP
        for kind, bucket in self._buckets():
            if kind == "tokens":
                bucket.take(now, used - reserved)

    def refused(self, now: float, retry_after: float | None, draw: float) -> float:
        """429: all pause for as long as the endpoint says, else twice as long each time. `draw`: uniform in 0–1, the jitter.

        Returns the pause in seconds.
        """
        if self.pace is None:  # else the rate is what it takes, and that is learnt anew
            self.concurrency.congested(now)
        self.accepted -= 1
        self.refusals += now >= self.paused_until  # those of one burst count once
        pause = (
            backoff(self.refusals - 1, draw)
            if retry_after is None
            else retry_after + draw * min(1.0, 0.1 * retry_after)
        )
        self.paused_until = max(self.paused_until, now + pause)
        return pause

    def congested(self, now: float) -> None:
        """Overload, a timeout or a lost connection."""
        self.concurrency.congested(now)

    def release(self) -> None:
        """A request is over, whatever came of it."""
        self.in_flight -= 1

    def limit_requests(self, now: float, per_minute: int) -> None:
        """Requests a minute beside every other limit, from now on. 0: none."""
        if not per_minute:
            self.live = None
        elif self.live is None:
            self.live = requests_bucket(per_minute, now)
        else:
            self.live.take(now, 0.0)  # what came until now came at the old rate
            self.live.rate = per_minute / 60

    def announce(self, now: float, kind: str, limit: float, remaining: float) -> None:
        """The endpoint's headers say `limit` `requests` or `tokens` a minute, and what remains. Only the first word counts."""
        if kind not in self.announced and limit >= 1:
            self.announced[kind] = Bucket(
                rate=limit / 60, capacity=limit, level=min(limit, remaining), at=now
            )

    def _learn_pace(self, now: float) -> None:
        """A pause is over: what was accepted since the one before it, over the time since, is what the endpoint takes.

        Where next to nothing was accepted, the endpoint is down rather than limited, and that says nothing about later.
        """
        self.pace = None
        if self.resumed is not None and self.accepted >= ACCEPTED_LEAST:
            rate = self.accepted / (now - self.resumed)
            self.pace = Bucket(rate=rate, capacity=1.0, level=1.0, at=now)
            under_way = 1.2 * rate * self.concurrency.round_trip  # Little's law: as many as that rate needs
            self.concurrency.limit = min(float(self.concurrency.most), max(self.concurrency.limit, under_way))
        self.resumed, self.accepted = now, 0

    def _buckets(self) -> list[tuple[str, Bucket]]:
        others = [("requests", bucket) for bucket in (self.live, self.pace) if bucket is not None]
        return [*self.own, *self.announced.items(), *others]


def make_gates(
    now: float,
    *,
    most: int,
    requests_per_minute: int = 0,
    tokens_per_minute: int = 0,
    time_limit: float = math.inf,
) -> Gates:
    """Gates for a teacher's settings; 0 means no limit of one's own. `time_limit` of a request in seconds."""
    own = [("requests", requests_bucket(requests_per_minute, now))] if requests_per_minute else []
    own += [("tokens", tokens_bucket(tokens_per_minute, now))] if tokens_per_minute else []
    return Gates(Concurrency(most=most, time_limit=time_limit), own=own)


def backoff(tries: int, draw: float, *, base: float = 0.5, cap: float = 20.0) -> float:
    """Seconds before the next try, full jitter: uniform in 0 to min(cap, base * 2^tries). `draw`: uniform in 0–1."""
    return draw * min(cap, base * 2.0 ** min(tries, 30))
