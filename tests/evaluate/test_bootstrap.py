"""The interval of a gain, against cases whose answer is known."""

import numpy as np
import pytest

from tunesmith_jobs.evaluate.bootstrap import Gain, all_right_lower_bound, gain

KNOWN = {  # differences, weights -> value, low, high
    "all rows gain the same": ([1.0] * 12, None, (1.0, 1.0, 1.0)),
    "no row changes": ([0.0] * 12, None, (0.0, 0.0, 0.0)),
    "half of many rows gain": (
        [1.0, 0.0] * 500,
        None,
        (0.5, 0.5 - 1.96 * 0.5 / 1000**0.5, 0.5 + 1.96 * 0.5 / 1000**0.5),
    ),
    "rows weigh by their tokens": ([10.0, 0.0], [1, 9], (1.0, 0.0, 10.0)),
    "losses of some rows cancel gains of others": (
        [1.0, -1.0] * 200,
        None,
        (0.0, -1.96 / 400**0.5, 1.96 / 400**0.5),
    ),
}


@pytest.mark.parametrize(("differences", "weights", "expected"), KNOWN.values(), ids=KNOWN)
def test_the_interval_is_the_known_one(differences, weights, expected):
    gained = gain(differences, weights, seed=42)
    assert (gained.value, gained.low, gained.high) == pytest.approx(expected, abs=0.006)
    assert gained.n == len(differences)


def test_it_covers_the_true_mean_about_95_times_in_100():
    draws = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        gained = gain(draws.normal(0.3, 1.0, size=60), seed=trial)
        hits += gained.low <= 0.3 <= gained.high
    assert 0.90 <= hits / 200 <= 0.985


def test_the_same_seed_gives_the_same_interval_and_another_a_near_one():
    rows = list(np.random.default_rng(1).normal(size=40))
    first, again, other = gain(rows, seed=1), gain(rows, seed=1), gain(rows, seed=2)
    assert first == again
    assert first != other
    assert first.low == pytest.approx(other.low, abs=0.03)


def test_one_row_has_a_value_but_no_interval_and_proves_nothing():
    assert gain([1.0], seed=0) == Gain(1.0, 1, None, None)
    assert not gain([1.0], seed=0).proven


def test_no_rows_have_no_gain():
    assert gain([], seed=0) is None


def test_many_rows_do_not_take_all_memory():
    assert gain([1.0, 0.0] * 10_000, seed=0).n == 20_000


@pytest.mark.parametrize(("n", "bound"), [(12, 0.7354), (1, 0.025), (100, 0.9638)])
def test_all_right_has_the_exact_lower_bound(n, bound):
    assert all_right_lower_bound(n) == pytest.approx(bound, abs=1e-4)
