"""The cases: what the endpoint does, how many rows are wanted, and the least time that anybody needs."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.generate.stub import USAGE, Behaviour

LATENCY = 0.5  # seconds
TIME_LIMIT = 5.0  # seconds of one request, where sockets hang
TOKENS = 60_000  # a minute


@dataclass(frozen=True)
class Case:
    """One case.

    `least`: seconds for a tool with so many rounds of calls before those for rows (the stage: 1, its plan).
    `alone`: peers run one after another; otherwise all peers at once, as nearly all of the time is waiting.
    """

    name: str
    behaviour: Behaviour
    rows: int
    width: int
    least: Callable[[int], float]
    to_reach: str
    limit: float = 120.0  # seconds until a run is stopped
    defaults: bool = False  # whether peers run with their default settings, too
    alone: bool = False


def waves(rows: int, width: int) -> float:
    """Seconds for calls of one latency, so many at once."""
    return -(-rows // width) * LATENCY


LOG_NORMAL_MEAN = 2.24  # seconds, of p50 1.5 and p99 12
CASES = {
    "wide": Case(
        "200 calls of 0.5 s, 100 in flight",
        Behaviour(),
        200,
        100,
        lambda before: before * LATENCY + waves(200, 100),
        "<= 1.25 x, <= 120 MiB, faster than each peer",
        defaults=True,
        alone=True,
    ),
    "rate": Case(
        "20 calls a second, else 429 with Retry-After: 1",
        Behaviour(rate=20.0),
        200,
        100,
        lambda before: before * LATENCY + (200 - 20) / 20 + LATENCY,
        "<= 15 refused, <= 1.15 x",
        defaults=True,
    ),
    "longer": Case(
        "the same, 400 rows",
        Behaviour(rate=20.0),
        400,
        100,
        lambda before: before * LATENCY + (400 - 20) / 20 + LATENCY,
        "<= 15 refused, <= 1.15 x",
    ),
    "unsaid": Case(
        "20 calls a second, else 429 without Retry-After",
        Behaviour(rate=20.0, retry_after=False),
        200,
        100,
        lambda before: before * LATENCY + (200 - 20) / 20 + LATENCY,
        "<= 60 refused, <= 1.15 x",
    ),
    "errors": Case(
        "5 % of the calls answered by 500",
        Behaviour(errors=0.05),
        200,
        100,
        lambda before: before * LATENCY + waves(200, 100) + LATENCY,
        "all rows, <= 1.3 x",
    ),
    "garbage": Case(
        "5 % of the calls answered by a web page",
        Behaviour(garbage=0.05),
        200,
        100,
        lambda before: before * LATENCY + waves(200, 100) + LATENCY,
        "all rows, <= 1.3 x",
    ),
    "storm": Case(
        "nothing but 429 for 60 s, then all",
        Behaviour(storm=60.0),
        200,
        100,
        lambda before: 60 + before * LATENCY + waves(200, 100),
        "all rows, <= 1.15 x",
        limit=150.0,
    ),
    "hung": Case(
        f"2 % of the calls hang; a request may take {TIME_LIMIT:g} s",
        Behaviour(hung=0.02),
        200,
        100,
        lambda before: before * LATENCY + LATENCY + TIME_LIMIT + LATENCY,
        "all rows, <= 1.3 x",
    ),
    "tokens": Case(
        f"{TOKENS:,} tokens in any minute, which the tool is told where it can be",
        Behaviour(tokens=TOKENS),
        360,
        100,
        lambda before: 60 * (360 + before) * sum(USAGE) / TOKENS,
        "within 5 % of the limit, no 429",
        limit=150.0,
    ),
    "spread": Case(
        "2,000 calls, log-normal latency (p50 1.5 s, p99 12 s), 400 in flight",
        Behaviour(latency=1.5, p99=12.0),
        2000,
        400,
        lambda before: before * 1.5 + max(2000 * LOG_NORMAL_MEAN / 400, 28.6),
        "<= 1.8 x",
        limit=150.0,
        alone=True,
    ),
}
