"""When the next request may start: concurrency, rates and pauses together.

The clock is an argument, in seconds. Requests and tokens a minute are token buckets. A `Retry-After` stops
everything; after the second pause, requests are spaced as the endpoint was seen to take them, a little
faster with every answer.
"""

import math
from dataclasses import dataclass, field

from tunesmith_jobs.generate.concurrency import Concurrency
from tunesmith_jobs.generate.patience import backoff
from tunesmith_jobs.generate.token_bucket import Bucket, requests_bucket, tokens_bucket

PACE_STEP = 0.1  # requests a second, per answer: a tenth more each second
ACCEPTED_LEAST = 5  # requests between two pauses that tell a rate


@dataclass
class Limiter:
    """All limits together.

    `buckets` are those of the request; `announced` are the endpoint's own, from its headers.
    """

    concurrency: Concurrency
    buckets: list[tuple[str, Bucket]] = field(default_factory=list)
    announced: dict[str, Bucket] = field(default_factory=dict)
    live: Bucket | None = None  # a limit from outside that changes while the stage runs
    pace: Bucket | None = None  # what the endpoint was seen to take, known after two bursts of refusals
    paused_until: float = -math.inf
    in_flight: int = 0
    most_in_flight: int = 0
    refusals: int = 0  # bursts in a row
    accepted: int = 0  # since `resumed`: started and not refused
    resumed: float | None = None  # when the last pause ended

    def wait(self, now: float, tokens: int) -> float:
        """Seconds until a request that may use `tokens` can start; infinity: not before another one ends."""
        if self.in_flight >= int(self.concurrency.limit):
            wait = self.concurrency.ramp(now)
            if self.in_flight >= int(self.concurrency.limit):
                return wait or math.inf
        waits = [bucket.wait(now, _cost(kind, tokens)) for kind, bucket in self._all_buckets()]
        return max([0.0, self.paused_until - now, *waits])

    def start(self, now: float, tokens: int) -> None:
        """A request starts."""
        if self.paused_until > (-math.inf if self.resumed is None else self.resumed):
            self._learn_pace(now)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.accepted += 1
        for kind, bucket in self._all_buckets():
            bucket.take(now, _cost(kind, tokens))

    def succeeded(self, now: float, seconds: float, *, reserved: int, used: int) -> None:
        """An answer came; `reserved` tokens were taken for it, `used` is what it cost."""
        self.refusals = 0
        self.concurrency.succeeded(seconds)
        if self.pace is not None:
            self.pace.rate += PACE_STEP
        for kind, bucket in self._all_buckets():
            if kind == "tokens":
                bucket.take(now, used - reserved)

    def refused(self, now: float, retry_after: float | None, draw: float) -> float:
        """429: all pause for as long as the endpoint says, else twice as long each time.

        Returns the pause in seconds. `draw`: uniform in 0 to 1, the jitter.
        """
        if self.pace is None:  # otherwise the rate is the limit, and that is learnt anew
            self.concurrency.congested(now)
        self.accepted -= 1
        self.refusals += now >= self.paused_until  # those of one burst count once
        pause = backoff(self.refusals - 1, draw)
        if retry_after is not None:
            pause = retry_after + draw * min(1.0, 0.1 * retry_after)
        self.paused_until = max(self.paused_until, now + pause)
        return pause

    def congested(self, now: float) -> None:
        """Overload, a timeout or a lost connection."""
        self.concurrency.congested(now)

    def release(self) -> None:
        """A request is over, whatever came of it."""
        self.in_flight -= 1

    def limit_requests(self, now: float, per_minute: int) -> None:
        """Allow so many requests a minute from now on, besides other limits. 0 lifts this one."""
        if not per_minute:
            self.live = None
        elif self.live is None:
            self.live = requests_bucket(per_minute, now)
        else:
            self.live.take(now, 0.0)  # what came until now came at the old rate
            self.live.rate = per_minute / 60

    def announce(self, now: float, kind: str, limit: float, remaining: float) -> None:
        """Keep to what the endpoint's headers announce, of `requests` or `tokens`.

        `limit` is per minute, and `remaining` is what is left of it. Only the first of a kind counts.
        """
        if kind not in self.announced and limit >= 1:
            level = min(limit, remaining)
            self.announced[kind] = Bucket(rate=limit / 60, capacity=limit, level=level, at=now)

    def _learn_pace(self, now: float) -> None:
        """A pause is over: the pace is what was accepted since the pause before it, over the time since.

        If next to nothing was accepted, the endpoint is down rather than limited, and that says nothing
        about later.
        """
        self.pace = None
        if self.resumed is not None and self.accepted >= ACCEPTED_LEAST:
            rate = self.accepted / (now - self.resumed)
            self.pace = Bucket(rate=rate, capacity=1.0, level=1.0, at=now)
            under_way = 1.2 * rate * self.concurrency.round_trip  # Little's law: as many as that rate needs
            self.concurrency.limit = min(float(self.concurrency.most), max(self.concurrency.limit, under_way))
        self.resumed = now
        self.accepted = 0

    def _all_buckets(self) -> list[tuple[str, Bucket]]:
        others = [("requests", bucket) for bucket in (self.live, self.pace) if bucket is not None]
        return [*self.buckets, *self.announced.items(), *others]


def make_limiter(
    now: float,
    *,
    most: int,
    requests_per_minute: int = 0,
    tokens_per_minute: int = 0,
    time_limit: float = math.inf,
) -> Limiter:
    """The limiter of a teacher's settings; 0 sets no limit. `time_limit` of a request in seconds."""
    buckets = []
    if requests_per_minute:
        buckets.append(("requests", requests_bucket(requests_per_minute, now)))
    if tokens_per_minute:
        buckets.append(("tokens", tokens_bucket(tokens_per_minute, now)))
    return Limiter(Concurrency(most=most, time_limit=time_limit), buckets=buckets)


def _cost(kind: str, tokens: int) -> float:
    return 1.0 if kind == "requests" else float(tokens)
