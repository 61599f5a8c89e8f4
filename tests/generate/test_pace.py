"""How fast requests start: fast where the endpoint takes it, and as it takes it where it does not."""

import itertools
import math

import pytest
from generate.simulated_endpoint import Busy, Rate, Storm, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith_jobs.generate.pace import FREE, GROWTH_MOST, RAMP_UNKNOWN, Pace


def starts(pace, until, round_trip=0.0, now=0.0, most=1000):
    """The moments of the starts until then, each as early as it may be."""
    moments = []
    while (now := now + pace.wait(now)) < until and len(moments) < most:
        pace.start(now, round_trip, alone=not moments)
        pace.held = True
        moments.append(now)
    return moments


def test_the_first_start_at_once_and_the_others_ever_faster():
    moments = starts(Pace(), 0.3)
    assert moments[:FREE] == [0.0] * FREE
    gaps = [later - at for at, later in zip(moments[FREE:], moments[FREE + 1 :], strict=False)]
    assert gaps[0] == pytest.approx(RAMP_UNKNOWN / FREE, rel=0.2)
    assert all(later < at + 1e-9 for at, later in itertools.pairwise(gaps))
    assert len(moments) == pytest.approx(FREE * math.exp(0.3 / RAMP_UNKNOWN), rel=0.1)


HUNDRED = {
    "at once": (0.001, 0.05),
    "0.5 s": (0.5, 0.26),
    "2 s": (2.0, 1.01),
    "20 s": (20.0, 1.15),
    "unknown": (0.0, 0.23),
}


@pytest.mark.parametrize(("round_trip", "seconds"), HUNDRED.values(), ids=HUNDRED)
def test_a_hundred_are_under_way_in_half_the_time_of_an_answer_or_little_over_a_second(round_trip, seconds):
    assert starts(Pace(), 5.0, round_trip, most=100)[99] == pytest.approx(seconds, rel=0.1)


def test_the_rate_is_what_was_accepted_over_the_time_until_the_pause_ends():
    pace = Pace()
    for number in range(25):
        pace.start(number / 100, 0.5, alone=False)
    for _ in range(5):
        pace.refused(0.03)
    pace.resume(1.25)
    assert pace.rate == pytest.approx(1.07 * 20 / 1.25)
    assert pace.growth < GROWTH_MOST
    assert len(starts(pace, 11.25, 0.5, now=1.25)) == pytest.approx(10 * 17, rel=0.2)


def test_after_a_pause_one_goes_first():
    pace = Pace()
    for _ in range(20):
        pace.start(0.0, 0.5, alone=False)
    pace.resume(1.0)
    pace.start(1.0, 0.5, alone=True)
    assert pace.wait(1.0) >= 0.05


def test_idle_time_does_not_count():
    idle, busy = Pace(), Pace()
    idle.start(0.0, 0.5, alone=True)
    for pace in (idle, busy):
        for number in range(20):
            pace.start(10.0, 0.5, alone=not number)
        pace.resume(11.0)
    assert idle.rate == busy.rate


def test_a_rate_that_held_for_long_is_cut_by_no_more_than_three_tenths():
    pace = Pace(rate=5.0, growth=0.1)
    moments = starts(pace, 30.0, 0.5)
    rate = pace.rate
    assert rate > 3 * len(moments) / 30 / 2
    pace.resume(31.0)
    assert pace.rate >= 0.7 * rate


def test_of_an_endpoint_that_was_away_nothing_is_known():
    pace = Pace()
    pace.start(0.0, 0.5, alone=True)
    pace.refused(0.03)
    pace.forget(1.0)
    assert pace.rate == math.inf
    assert pace.wait(1.0) == 0


ENDPOINTS = {  # endpoint, calls, latency in s, Retry-After -> seconds that nobody can beat, times, refused
    "20 a second": (lambda: Rate(20), 200, 0.5, 1.0, 10.0, 1.1, 10),
    "20 a second, longer": (lambda: Rate(20), 400, 0.5, 1.0, 20.0, 1.1, 12),
    "20 a second, much longer": (lambda: Rate(20), 2000, 0.5, 1.0, 100.0, 1.05, 20),
    "20 a second, and it does not say when": (lambda: Rate(20), 200, 0.5, None, 10.0, 1.1, 12),
    "20 a second, longer, and it does not say when": (lambda: Rate(20), 400, 0.5, None, 20.0, 1.1, 15),
    "5 a second, answers of 10 s": (lambda: Rate(5), 400, 10.0, 1.0, 99.0, 1.1, 15),
    "1 a second, none saved up": (lambda: Rate(1, 1), 60, 0.5, 1.0, 60.0, 1.5, 20),
    "a large burst, then 5 a second": (lambda: Rate(5, 100), 200, 0.5, 1.0, 21.0, 1.1, 50),
    "10 at once": (lambda: Busy(10), 200, 2.0, None, 42.0, 1.2, 10),
    "one at once": (lambda: Busy(1), 50, 2.0, None, 104.0, 1.15, 20),
    "any number": (lambda: Rate(10**6), 200, 0.5, None, 1.0, 1.35, 0),
    "nothing for a minute, and then any number": (lambda: Storm(0, 60), 200, 0.5, 1.0, 61.0, 1.1, 25),
    "the same, and it does not say when": (lambda: Storm(0, 60), 200, 0.5, None, 61.0, 1.15, 20),
    "nothing for a minute in between": (lambda: Storm(2, 62), 2000, 2.0, None, 82.0, 1.15, 40),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("endpoint", "calls", "latency", "retry_after", "least", "times", "refused"),
    ENDPOINTS.values(),
    ids=ENDPOINTS,
)
def test_an_endpoint_is_used_well_and_seldom_refuses(
    endpoint, calls, latency, retry_after, least, times, refused, seed
):
    outcome = simulate(endpoint(), calls, latency, retry_after=retry_after, seed=seed)
    assert outcome.seconds <= times * least
    assert outcome.refused <= refused


@settings(max_examples=50, deadline=None)
@given(
    rate=st.floats(0.5, 200),
    seconds_saved=st.floats(0.1, 10),
    latency=st.floats(0.01, 20),
    retry_after=st.none() | st.floats(0, 5),
    delay=st.floats(0.001, 0.3),
    seed=st.integers(0, 99),
)
def test_whatever_the_limit_all_calls_are_answered_and_few_are_refused_once_a_refusal_is_known(
    rate, seconds_saved, latency, retry_after, delay, seed
):
    """Before, as many are refused as start until the first refusal comes."""
    calls = 150
    endpoint = Rate(rate, max(1.0, rate * seconds_saved))
    outcome = simulate(endpoint, calls, latency, retry_after=retry_after, delay=delay, seed=seed)
    assert outcome.most_in_flight <= 200
    assert outcome.refused - outcome.knowingly_refused <= calls
    assert outcome.knowingly_refused <= (calls / 2 if retry_after is None else 1.5 * calls)


def test_refusals_that_come_late_and_name_too_short_a_pause_are_waited_for():
    outcome = simulate(Rate(0.75, 1.0), 150, 0.012, retry_after=0.1, delay=0.19)
    assert outcome.knowingly_refused <= 75
