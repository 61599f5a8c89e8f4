"""Rounding from float32: unbiased, seeded, the same in any block, exact where nothing is lost."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunesmith_jobs.merge.rounding import any_infinite, draws, float32, philox_key, round_to

KEY = philox_key(42, "w")


def rounded(values, key=KEY, first=0, dtype="BF16"):
    out = np.empty(len(values) * 2, dtype=np.uint8)
    round_to(dtype, values.astype(np.float32), out, key, first)
    return float32(out, dtype)


def test_stochastic_rounding_gives_a_neighbour_and_the_right_mean():
    value, count = np.float32(1 + 0.3 / 128), 200_000  # 0.3 of the way between two bfloat16
    results = rounded(np.full(count, value))
    assert set(results.tolist()) == {1.0, 1 + 1 / 128}
    up = (results > 1).mean()
    assert abs(up - 0.3) < 5 * (0.3 * 0.7 / count) ** 0.5


@pytest.mark.parametrize("sign", [1, -1])
def test_the_mean_of_many_different_numbers_is_kept(sign):
    values = sign * np.abs(np.random.default_rng(0).standard_normal(400_000).astype(np.float32)) * 0.02
    steps = np.abs(values) * 2.0**-8
    error = (rounded(values) - values).astype(np.float64)
    assert abs(error.sum()) < 5 * np.sqrt((steps**2).sum())
    assert (np.abs(error) <= 2 * steps + 1e-45).all()


@given(st.integers(0, 0xFFFF), st.integers(0, 1000))
def test_what_bfloat16_can_hold_stays_as_it_is(bits, first):
    value = float32(np.array([bits], np.uint16).view(np.uint8), "BF16")
    if np.isfinite(value[0]):
        assert rounded(value, first=first).view(np.uint32) == value.view(np.uint32)


@given(st.integers(0, 5000), st.integers(0, 400))
def test_a_draw_depends_on_the_place_in_the_tensor_only(first, count):
    assert (draws(KEY, first, count) == draws(KEY, 0, first + count)[first:]).all()


def test_draws_differ_by_seed_and_by_tensor():
    kinds = [draws(philox_key(seed, name), 0, 1000) for seed, name in ((1, "a"), (2, "a"), (1, "b"))]
    assert all(
        (one != other).mean() > 0.99
        for one, other in ((kinds[0], kinds[1]), (kinds[0], kinds[2]), (kinds[1], kinds[2]))
    )


def test_the_draws_of_a_seed_are_the_same_in_every_release():
    assert draws(philox_key(42, "model.norm.weight"), 15, 4).tolist() == [28475, 3688, 8460, 36717]


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_rounding_to_nearest_is_torchs(dtype):
    values = np.random.default_rng(1).standard_normal(300_001).astype(np.float32) * np.float32(0.02)
    values[:4] = [0, -0.0, 6e-8, 3e-39]
    kind = {"BF16": torch.bfloat16, "F16": torch.float16}[dtype]
    expected = torch.from_numpy(values.copy()).to(kind).float().numpy()
    assert (rounded(values, None, dtype=dtype).view(np.uint32) == expected.view(np.uint32)).all()


@pytest.mark.parametrize(("dtype", "value"), [("F16", 65520.0), ("BF16", 3.4e38)])
def test_what_is_too_large_becomes_infinite_and_is_seen(dtype, value):
    out = np.empty(2, dtype=np.uint8)
    round_to(dtype, np.array([value], np.float32), out, None, 0)
    assert any_infinite(out, dtype)


def test_the_update_of_a_short_training_survives_stochastic_rounding_only():
    weights = rounded(np.random.default_rng(2).standard_normal(100_000) * 0.02, None)
    update = np.random.default_rng(3).standard_normal(100_000).astype(np.float32) * np.float32(5e-6)
    kept = {
        name: float((rounded(weights + update, key) - weights) @ update / (update @ update))
        for name, key in (("s", KEY), ("n", None))
    }
    assert kept["n"] < 0.7
    assert abs(kept["s"] - 1) < 0.2
