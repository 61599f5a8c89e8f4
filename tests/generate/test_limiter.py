"""Concurrency, rate limits and pauses are arithmetic over a clock that the test turns."""

import math

import pytest

from tunesmith_jobs.generate.concurrency import START, Concurrency
from tunesmith_jobs.generate.limiter import make_limiter
from tunesmith_jobs.generate.patience import Patience, backoff, time_limit


def refuse(limiter, now, retry_after, draw):
    """A refusal that comes at once."""
    return limiter.refused(now, retry_after, draw, seconds=0.0)


def drive(steps, most=200):
    """Feeds a Concurrency: a number is an answer after so many seconds, a tuple a refusal at that time."""
    concurrency = Concurrency(most=most, time_limit=180.0)
    for step in steps:
        if isinstance(step, tuple):
            concurrency.congested(step[0], UNDER_WAY)
        else:
            concurrency.succeeded(step)
    return concurrency.limit


UNDER_WAY = 50
CASES = {
    "nothing known: the start": ([], START),
    "every answer adds two until the first refusal": ([1.0] * 10, START + 20),
    "it never passes the most": ([1.0] * 1000, 200),
    "a refusal takes three tenths of what was under way": ([(10.0,)], UNDER_WAY * 0.7),
    "refusals within one round trip count once": ([1.0, (10.0,), (10.1,), (10.9,)], UNDER_WAY * 0.7),
    "a refusal a round trip later counts again": ([1.0, (10.0,), (11.1,)], UNDER_WAY * 0.49),
    "it never falls below one": ([(float(at),) for at in range(100)], 1.0),
    "answers that take a quarter of the time limit add nothing": ([50.0] * 50, START),
}


@pytest.mark.parametrize(("steps", "limit"), CASES.values(), ids=CASES)
def test_concurrency(steps, limit):
    assert drive(steps) == pytest.approx(limit)


def test_after_a_refusal_a_round_trip_of_answers_adds_a_twentieth():
    concurrency = Concurrency(most=200)
    concurrency.congested(0.0, UNDER_WAY)
    before = concurrency.limit
    for _ in range(int(before)):
        concurrency.succeeded(1.0)
    assert 0.04 * before < concurrency.limit - before < 0.06 * before


def test_where_the_endpoint_was_full_more_is_tried_seldom():
    concurrency = Concurrency(most=200)
    concurrency.full(4)
    for _ in range(40):
        assert concurrency.allowed == 4
        concurrency.succeeded(1.0)
    for _ in range(10):
        concurrency.succeeded(1.0)
    assert concurrency.allowed == 5


ALLOWED = {  # seconds an answer took, pushed back since -> requests at once
    "a quick endpoint that refuses nothing gets all": (0.5, False, 200),
    "not more than it could answer one after another": (2.0, False, 90),
    "a slow one has to answer first": (20.0, False, START + 2),
    "after it has pushed back": (0.5, True, UNDER_WAY * 0.7),
}


@pytest.mark.parametrize(("seconds", "pushed_back", "allowed"), ALLOWED.values(), ids=ALLOWED)
def test_all_may_start_only_where_that_is_safe(seconds, pushed_back, allowed):
    concurrency = Concurrency(most=200, time_limit=180.0)
    concurrency.succeeded(seconds)
    if pushed_back:
        concurrency.congested(0.0, UNDER_WAY)
    assert concurrency.allowed == pytest.approx(allowed)


def end(limiter, now, start, *, reserved=1, used=0):
    limiter.release(now, start, reserved=reserved, used=used)


def started_within(limiter, seconds, tokens=10):
    """Starts whatever may start, each request ending at once; returns the times."""
    now, times = 0.0, []
    while now < seconds:
        wait = limiter.wait(now, tokens)
        if wait == 0:
            end(limiter, now, limiter.start(now, tokens), reserved=tokens, used=tokens)
            times.append(now)
        else:
            now += wait + 1e-9
    return times


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600])
def test_no_minute_has_more_requests_than_the_request_allows(per_minute):
    times = started_within(make_limiter(0.0, most=1000, requests_per_minute=per_minute), 180)
    assert max(sum(at <= other < at + 60 for other in times) for at in times) <= per_minute
    assert len(times) >= 3 * per_minute - 1


@pytest.mark.parametrize("tokens", [7, 100, 900, 5900])
def test_no_minute_has_more_tokens_than_the_request_allows_and_most_have_as_many(tokens):
    times = started_within(make_limiter(0.0, most=1000, tokens_per_minute=6000), 600, tokens=tokens)
    assert max(sum(at <= other < at + 60 for other in times) for at in times) * tokens <= 6000
    assert len(times) >= 0.95 * 10 * (6000 // tokens)


def test_tokens_are_spread_over_the_minute():
    times = started_within(make_limiter(0.0, most=1000, tokens_per_minute=6000), 120, tokens=100)
    assert sum(at < 6 for at in times) <= 8


def test_a_call_that_needs_more_tokens_than_a_minute_has_still_starts():
    assert len(started_within(make_limiter(0.0, most=10, tokens_per_minute=600), 600, tokens=5000)) >= 1


def test_tokens_that_were_not_used_are_given_back():
    limiter = make_limiter(0.0, most=10, tokens_per_minute=6000)
    start = limiter.start(0.0, 5000)
    assert limiter.wait(0.0, 5000) > 40
    end(limiter, 0.0, start, reserved=5000, used=1)
    assert limiter.wait(0.0, 100) == 0


def test_what_calls_take_is_expected_of_the_next_ones_until_the_endpoint_refuses():
    limiter = make_limiter(0.0, most=100, tokens_per_minute=60_000)
    for number in range(50):
        end(limiter, number * 10.0, limiter.start(number * 10.0, 2000), reserved=2000, used=200)
    assert limiter.share == pytest.approx(0.1, abs=0.02)
    end(limiter, 500.0, limiter.start(500.0, 2000), reserved=2000, used=1000)
    assert limiter.share == pytest.approx(0.5, abs=0.02), "rather too high"
    refuse(limiter, 501.0, 1.0, draw=0.0)
    assert limiter.share == 1.0


def test_what_the_endpoint_announces_is_kept():
    limiter = make_limiter(0.0, most=100)
    start = limiter.start(0.0, 10)
    limiter.announce(0.0, start, "requests", 60, None)
    assert len(started_within(limiter, 9.5)) <= 60 + 9


def test_what_remains_is_what_the_endpoint_says_less_what_has_started_since():
    limiter = make_limiter(0.0, most=100)
    first = limiter.start(0.0, 10)
    for _ in range(3):
        limiter.start(0.0, 10)
    limiter.announce(1.0, first, "requests", 60, 4)  # 4 and one of a second, less 3
    assert limiter.announced["requests"].bucket.level == pytest.approx(2.0)
    limiter.announce(1.0, first, "requests", 60, 0)
    assert limiter.wait(1.0, 10) == pytest.approx(3.0), "others share the limit: 1 is wanted, and -2 is there"


def test_a_limit_on_tokens_is_counted_as_the_endpoint_counts_it():
    limiter = make_limiter(0.0, most=100)
    first = limiter.start(0.0, 2000)
    limiter.announce(0.0, first, "tokens", 60_000, 58_000)
    second = limiter.start(0.0, 2000)
    end(
        limiter, 0.0, second, reserved=2000, used=100
    )  # a limit that counts what is asked for gives nothing back
    assert limiter.announced["tokens"].bucket.level == pytest.approx(56_000)


def test_retry_after_stops_everything_for_that_long_and_a_little():
    limiter = make_limiter(0.0, most=10)
    assert refuse(limiter, 0.0, 3.0, draw=0.5) == pytest.approx(3.15)
    assert limiter.wait(1.0, 1) == pytest.approx(2.15)
    assert limiter.wait(3.4, 1) == 0


def test_without_retry_after_the_pause_doubles_until_an_answer_comes():
    limiter = make_limiter(0.0, most=10)
    assert [refuse(limiter, at, None, draw=1.0) for at in (0.0, 0.5, 1.5, 3.5)] == [0.5, 1.0, 2.0, 4.0]
    assert refuse(limiter, 3.6, None, draw=1.0) == 4.0, "a second refusal of the same burst"
    assert [refuse(limiter, at, None, draw=1.0) for at in (10.0, 20.0)] == [8.0, 8.0]
    limiter.succeeded(0.1)
    assert refuse(limiter, 38.1, None, draw=1.0) == 0.5


def test_a_pause_is_no_shorter_than_the_way_of_a_refusal():
    limiter = make_limiter(0.0, most=200)
    assert limiter.refused(0.3, 0.0, draw=1.0, seconds=0.3) == 0.3
    assert limiter.refused(9.3, 0.0, draw=1.0, seconds=9.0) == 1.0, "one that took long is waited for in part"


def test_a_retry_after_that_is_never_true_is_not_taken_at_its_word_for_ever():
    limiter = make_limiter(0.0, most=10)
    pauses = [refuse(limiter, 10.0 * number, 0.4, draw=0.0) for number in range(10)]
    assert pauses == pytest.approx([0.4, 0.4, 0.4, 0.4, 0.4, 0.5, 1.0, 1.0, 1.0, 1.0])
    limiter.succeeded(0.1)
    assert [refuse(limiter, at, 0.0, draw=1.0) for at in range(200, 206)] == [0.0, 0.0, 0.0, 0.0, 0.5, 0.5]


def test_a_full_house_waits_for_somebody_to_leave():
    limiter = make_limiter(0.0, most=1)
    start = limiter.start(0.0, 1)
    assert limiter.wait(0.0, 1) == math.inf
    end(limiter, 0.0, start)
    assert limiter.wait(0.0, 1) == 0


def test_a_busy_endpoint_that_names_a_time_is_left_alone_for_it():
    limiter = make_limiter(0.0, most=10)
    limiter.congested(0.0)
    limiter.pause(0.0, 2.0)
    assert limiter.wait(1.0, 1) == pytest.approx(1.0)
    assert limiter.wait(2.0, 1) == 0


HUNG = {  # slowest answer in s, answers, times it hung -> seconds
    "little is known": (0.5, 19, 0, 180.0),
    "ten times the slowest": (2.0, 20, 0, 20.0),
    "not less than some seconds": (0.1, 100, 0, 5.0),
    "twice as long each time": (2.0, 100, 2, 80.0),
    "not more than a request may take": (30.0, 100, 0, 180.0),
}


@pytest.mark.parametrize(("slowest", "answers", "hung", "seconds"), HUNG.values(), ids=HUNG)
def test_a_call_that_takes_far_longer_than_the_others_has_hung(slowest, answers, hung, seconds):
    assert time_limit(Patience(), slowest, answers, hung) == seconds


@pytest.mark.parametrize(
    ("tries", "draw", "seconds"), [(0, 1.0, 0.5), (3, 1.0, 4.0), (3, 0.25, 1.0), (1000, 1.0, 20.0)]
)
def test_backoff(tries, draw, seconds):
    assert backoff(tries, draw) == seconds
