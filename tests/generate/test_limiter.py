"""Concurrency, rate limits and pauses are arithmetic over a clock that the test turns."""

import heapq
import math
import random

import pytest

from tunesmith_jobs.generate.concurrency import START, Concurrency
from tunesmith_jobs.generate.limiter import make_limiter
from tunesmith_jobs.generate.patience import backoff
from tunesmith_jobs.generate.token_bucket import Bucket


def drive(steps, most=200):
    """Feeds a Concurrency: a number is an answer after so many seconds, a tuple a refusal at that time."""
    concurrency = Concurrency(most=most, time_limit=180.0)
    for step in steps:
        if isinstance(step, tuple):
            concurrency.congested(step[0])
        else:
            concurrency.succeeded(step)
    return concurrency.limit


CASES = {
    "nothing known: the start": ([], START),
    "every answer adds two until the first refusal": ([1.0] * 10, START + 20),
    "it never passes the most": ([1.0] * 1000, 200),
    "a refusal takes three tenths": ([(10.0,)], START * 0.7),
    "refusals within one round trip count once": ([1.0, (10.0,), (10.1,), (10.9,)], (START + 2) * 0.7),
    "a refusal a round trip later counts again": ([1.0, (10.0,), (11.1,)], (START + 2) * 0.49),
    "it never falls below one": ([(float(at),) for at in range(100)], 1.0),
    "answers that take a quarter of the time limit add nothing": ([50.0] * 50, START),
}


@pytest.mark.parametrize(("steps", "limit"), CASES.values(), ids=CASES)
def test_concurrency(steps, limit):
    assert drive(steps) == pytest.approx(limit)


def test_after_a_refusal_a_round_trip_of_answers_adds_a_twentieth():
    concurrency = Concurrency(most=200)
    concurrency.congested(0.0)
    before = concurrency.limit
    for _ in range(int(before)):
        concurrency.succeeded(1.0)
    assert 0.04 * before < concurrency.limit - before < 0.06 * before


RAMPS = {  # seconds an answer took, refused meanwhile -> limit after a second at the limit
    "a quick endpoint that refuses nothing gets all": (0.5, False, 200),
    "not more than it could answer one after another": (2.0, False, 90),
    "a slow one has to answer first": (20.0, False, START + 2),
    "a refusal ends it": (0.5, True, (START + 2) * 0.7),
}


@pytest.mark.parametrize(("seconds", "refused", "limit"), RAMPS.values(), ids=RAMPS)
def test_the_limit_rises_without_answers_only_where_that_is_safe(seconds, refused, limit):
    concurrency = Concurrency(most=200, time_limit=180.0)
    concurrency.succeeded(seconds)
    if refused:
        concurrency.congested(0.0)
    for tick in range(100):
        concurrency.ramp(tick / 100)
    assert concurrency.limit == pytest.approx(limit)


def started_within(limiter, seconds, tokens=10):
    """Starts whatever may start, each request ending at once; returns the times."""
    now, times = 0.0, []
    while now < seconds:
        wait = limiter.wait(now, tokens)
        if wait == 0:
            limiter.start(now, tokens)
            limiter.release()
            times.append(now)
        else:
            now += wait + 1e-9
    return times


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600])
def test_no_minute_has_more_requests_than_the_request_allows(per_minute):
    times = started_within(make_limiter(0.0, most=1000, requests_per_minute=per_minute), 180)
    assert max(sum(at <= other < at + 60 for other in times) for at in times) <= per_minute
    assert len(times) >= 3 * per_minute - 1


def test_no_minute_has_more_tokens_than_the_request_allows():
    times = started_within(make_limiter(0.0, most=1000, tokens_per_minute=6000), 180, tokens=100)
    assert max(sum(at <= other < at + 60 for other in times) for at in times) * 100 <= 6000


def test_a_call_that_needs_more_tokens_than_a_burst_still_starts():
    assert len(started_within(make_limiter(0.0, most=10, tokens_per_minute=600), 600, tokens=5000)) >= 1


def test_tokens_that_were_not_used_are_given_back():
    limiter = make_limiter(0.0, most=10, tokens_per_minute=600)
    limiter.start(0.0, 100)
    assert limiter.wait(0.0, 100) > 0
    limiter.succeeded(0.0, 0.1, reserved=100, used=1)
    assert limiter.wait(0.0, 99) == 0


def test_what_the_endpoint_announces_is_kept_and_only_its_first_word_counts():
    limiter = make_limiter(0.0, most=100)
    limiter.announce(0.0, "requests", 60, 2)
    limiter.announce(0.0, "requests", 6000, 6000)
    assert len(started_within(limiter, 9.5)) == 2 + 9


def test_retry_after_stops_everything_for_that_long_and_a_little():
    limiter = make_limiter(0.0, most=10)
    assert limiter.refused(0.0, 3.0, draw=0.5) == pytest.approx(3.15)
    assert limiter.wait(1.0, 1) == pytest.approx(2.15)
    assert limiter.wait(3.4, 1) == 0


def test_without_retry_after_the_pause_doubles_until_an_answer_comes():
    limiter = make_limiter(0.0, most=10)
    assert [limiter.refused(at, None, draw=1.0) for at in (0.0, 0.5, 1.5, 3.5)] == [0.5, 1.0, 2.0, 4.0]
    assert limiter.refused(3.6, None, draw=1.0) == 4.0, "a second refusal of the same burst"
    limiter.succeeded(8.0, 0.1, reserved=0, used=0)
    assert limiter.refused(8.1, None, draw=1.0) == 0.5


def simulated(calls, latency, rate, most=200):
    """Time and refusals of `calls` at an endpoint that takes `rate` requests a second and else says 429."""
    limiter, endpoint = make_limiter(0.0, most=most, time_limit=180.0), Bucket(rate, rate, rate)
    draw = random.Random(5)
    now, waiting, refusals, under_way = 0.0, calls, 0, []
    while waiting or under_way:
        while waiting and limiter.wait(now, 100) == 0:
            limiter.start(now, 100)
            waiting -= 1
            fits = endpoint.wait(now, 1) == 0
            if fits:
                endpoint.take(now, 1)
            heapq.heappush(under_way, (now + (latency if fits else 0.005), fits))
        if under_way and (not waiting or under_way[0][0] <= now + limiter.wait(now, 100)):
            now, fits = heapq.heappop(under_way)
            if fits:
                limiter.succeeded(now, latency, reserved=100, used=50)
            else:
                limiter.refused(now, 1.0, draw.random())
                refusals += 1
                waiting += 1
            limiter.release()
        else:
            now += limiter.wait(now, 100) + 1e-9
    return now, refusals


LIMITED = {  # calls, latency in s, requests a second -> least time, refusals at most
    "short calls": (200, 0.5, 20, 9.5, 150),
    "many": (2000, 0.5, 20, 99.5, 300),
    "long calls": (400, 10.0, 5, 89, 250),
    "a rate above all one asks": (200, 0.5, 500, 1.0, 0),
}


@pytest.mark.parametrize(
    ("calls", "latency", "rate", "least", "most_refusals"), LIMITED.values(), ids=LIMITED
)
def test_an_endpoint_with_a_limit_is_used_well(calls, latency, rate, least, most_refusals):
    seconds, refusals = simulated(calls, latency, rate)
    assert seconds < 1.25 * least + 1
    assert refusals <= most_refusals


def test_a_full_house_waits_for_somebody_to_leave():
    limiter = make_limiter(0.0, most=1)
    limiter.start(0.0, 1)
    assert limiter.wait(0.0, 1) == math.inf
    limiter.release()
    assert limiter.wait(0.0, 1) == 0


@pytest.mark.parametrize(
    ("tries", "draw", "seconds"), [(0, 1.0, 0.5), (3, 1.0, 4.0), (3, 0.25, 1.0), (1000, 1.0, 20.0)]
)
def test_backoff(tries, draw, seconds):
    assert backoff(tries, draw) == seconds
