"""When the next request may start: concurrency, rates and pauses together.

The clock is an argument, in seconds. What the endpoint says goes first: a `Retry-After` stops everything, and
limits in its headers are kept to as it counts them. What it does not say is learnt: pace.py, concurrency.py.
"""

import math
from dataclasses import dataclass, field

from tunesmith_jobs.generate.concurrency import Concurrency
from tunesmith_jobs.generate.pace import Pace
from tunesmith_jobs.generate.token_bucket import (
    MINUTE,
    Bucket,
    TokensAMinute,
    requests_bucket,
    tokens_a_minute,
)

PAUSE, PAUSE_MOST = 0.5, 8.0  # seconds: the first pause that the endpoint does not name, and the longest
TRUSTED = 4  # bursts of refusals in a row after which a Retry-After is no longer taken at its word
STRETCH = 5.0  # times the Retry-After, at most, that is waited then
AWAY = 4  # bursts of refusals in a row, and nothing else, by which an endpoint is away
SMOOTHING = 0.1


@dataclass(frozen=True)
class Start:
    """A request that has started: when, and the tokens that were taken for it from the request's own limit.

    `number` and `tokens` count it and all before it.
    """

    at: float
    taken: float
    number: int
    tokens: float


@dataclass
class Announced:
    """A limit of the endpoint's own. `told`: it says with each answer what remains."""

    bucket: Bucket
    told: bool


@dataclass
class Limiter:
    """All limits together.

    `requests` and `tokens` are those of the request; `announced` are the endpoint's own, from its headers.
    """

    concurrency: Concurrency
    requests: Bucket | None = None
    tokens: TokensAMinute | None = None
    announced: dict[str, Announced] = field(default_factory=dict)
    live: Bucket | None = None  # a limit from outside that changes while the stage runs
    pace: Pace = field(default_factory=Pace)
    paused_until: float = -math.inf
    in_flight: int = 0
    most_in_flight: int = 0
    refusals: int = 0  # bursts in a row
    share: float = 1.0  # of the most tokens that calls may take: what they take, rather too high
    started: int = 0
    tokens_started: float = 0.0
    _refused: bool = False  # since the last start
    _answered: bool = False  # since the last pause

    def wait(self, now: float, tokens: int) -> float:
        """Seconds until a request that may use `tokens` can start; infinity: not before another one ends."""
        if self.in_flight >= self.concurrency.allowed:
            wait = math.inf
        else:
            waits = [self.pace.wait(now), self.paused_until - now]
            waits += [bucket.wait(now, 1.0) for bucket in (self.requests, self.live) if bucket is not None]
            waits += [each.bucket.wait(now, _cost(kind, tokens)) for kind, each in self.announced.items()]
            if self.tokens is not None:
                waits.append(self.tokens.wait(now, self.share * tokens))
            wait = max(0.0, *waits)
        self.pace.held |= wait > 0
        return wait

    def start(self, now: float, tokens: int) -> Start:
        """A request starts."""
        if self._refused:
            self._resume(now)
        self.pace.start(now, self.concurrency.round_trip, alone=self.in_flight == 0)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.started += 1
        self.tokens_started += tokens
        taken = self.share * tokens
        for bucket in (self.requests, self.live):
            if bucket is not None:
                bucket.take(now, 1.0)
        for kind, each in self.announced.items():
            each.bucket.take(now, _cost(kind, tokens))
        if self.tokens is not None:
            self.tokens.take(now, taken)
        return Start(now, taken, self.started, self.tokens_started)

    def succeeded(self, seconds: float) -> None:
        """An answer came after so many seconds."""
        self.refusals, self._answered = 0, True
        self.concurrency.succeeded(seconds)

    def refused(self, now: float, retry_after: float | None, draw: float, seconds: float) -> float:
        """429: all pause for as long as the endpoint says, else twice as long each time.

        Returns the pause in seconds. `draw`: uniform in 0 to 1, the jitter; `seconds`: until it was refused;
        the pause is no shorter, as what else started meanwhile may be refused as well.
        """
        self.pace.refused(seconds)
        self.refusals += now >= self.paused_until  # those of one burst count once
        if retry_after is None:
            pause = _pause(self.refusals, draw)
        else:
            longer = _pause(self.refusals - TRUSTED, draw, most=max(PAUSE, STRETCH * retry_after))
            pause = max(retry_after + draw * min(1.0, 0.1 * retry_after), longer)
        pause = max(pause, self.pace.delay)
        self.pause(now, pause)
        self._refused = True
        if self.tokens is not None:  # it may count what is asked for, not what is used
            self.share = 1.0
        return pause

    def pause(self, now: float, seconds: float) -> None:
        """Start nothing for so long."""
        self.paused_until = max(self.paused_until, now + seconds)

    def congested(self, now: float) -> None:
        """Overload, a timeout or a lost connection."""
        self.concurrency.congested(now, self.in_flight)

    def release(self, now: float, start: Start, *, reserved: int, used: int) -> None:
        """A request is over, whatever came of it: `reserved` tokens were the most that it could take."""
        self.in_flight -= 1
        if used:
            share = min(1.0, used / reserved)
            self.share = max(share, self.share + SMOOTHING * (share - self.share))
        if self.tokens is not None:
            self.tokens.settle(now, start.at, used - start.taken)
        for kind, each in self.announced.items():
            if kind == "tokens" and not each.told:
                each.bucket.take(now, used - reserved)

    def limit_requests(self, now: float, per_minute: int) -> None:
        """Allow so many requests a minute from now on, besides other limits. 0 lifts this one."""
        if not per_minute:
            self.live = None
        elif self.live is None:
            self.live = requests_bucket(per_minute, now)
        else:
            self.live.take(now, 0.0)  # what came until now came at the old rate
            self.live.rate = per_minute / MINUTE

    def announce(self, now: float, start: Start, kind: str, limit: float, remaining: float | None) -> None:
        """Keep to what the headers of an answer to `start` announce, of `requests` or `tokens`.

        `limit` is per minute, and `remaining` is what was left of it, if it is said, when the request came.
        """
        if limit < 1:
            return
        rate = limit / MINUTE
        if kind not in self.announced:
            bucket = Bucket(rate=rate, capacity=limit, level=limit, at=now)
            self.announced[kind] = Announced(bucket, told=remaining is not None)
        if remaining is None:
            return
        since = self.started - start.number if kind == "requests" else self.tokens_started - start.tokens
        level = min(limit, remaining + (now - start.at) * rate) - since
        self.announced[kind] = Announced(Bucket(rate=rate, capacity=limit, level=level, at=now), told=True)

    def _resume(self, now: float) -> None:
        accepted = self.pace.accepted or self.in_flight or self._answered
        if self.refusals >= AWAY and not accepted and self.pace.overdue(now):
            self.concurrency.restart()
            self.pace.forget(now)
        else:
            if not self.pace.accepted and self.in_flight:
                self.concurrency.full(self.in_flight)
            self.pace.resume(now)
        self._refused = self._answered = False


def make_limiter(
    now: float,
    *,
    most: int,
    requests_per_minute: int = 0,
    tokens_per_minute: int = 0,
    time_limit: float = math.inf,
) -> Limiter:
    """The limiter of a teacher's settings; 0 sets no limit. `time_limit` of a request in seconds."""
    return Limiter(
        Concurrency(most=most, time_limit=time_limit),
        requests=requests_bucket(requests_per_minute, now) if requests_per_minute else None,
        tokens=tokens_a_minute(tokens_per_minute, now) if tokens_per_minute else None,
    )


def _cost(kind: str, tokens: int) -> float:
    return 1.0 if kind == "requests" else float(tokens)


def _pause(times: int, draw: float, most: float = PAUSE_MOST) -> float:
    """Seconds that double each time, up to `most`, half of them jitter; none before the first time."""
    return (0.5 + 0.5 * draw) * min(PAUSE_MOST, most, PAUSE * 2.0 ** (times - 1)) if times > 0 else 0.0
