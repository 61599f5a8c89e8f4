"""The split: every row once, near-copies together, shares as near as clusters allow."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.settings import Split
from tunesmith_jobs.generate.dedupe import nearest, shingles
from tunesmith_jobs.generate.split import split, targets


def shares(test=0.1, validation=0.0, seed=42):
    return Split.model_validate({"test": test, "validation": validation, "seed": seed})


def families(sizes, seed=0):
    """Texts in families: those of one family share 38 of 40 words, others nothing."""
    rng = random.Random(seed)
    texts = []
    for family, size in enumerate(sizes):
        words = [f"f{family}w{number}" for number in range(40)]
        texts += [" ".join([*words[:38], f"x{member}", f"y{member}"]) for member in range(size)]
    rng.shuffle(texts)
    return texts


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=25),
    st.floats(0, 0.5),
    st.floats(0, 0.4),
    st.integers(0, 99),
)
def test_every_row_is_in_exactly_one_part(sizes, test, validation, seed):
    texts = families(sizes)
    parts = split(texts, shares(test, validation, seed))
    assert sorted([*parts.train, *parts.validation, *parts.test]) == list(range(len(texts)))
    if len(texts) >= 2:
        assert parts.train
        assert bool(parts.test) == (test > 0)


def test_near_copies_are_never_on_both_sides():
    texts = families([3] * 20 + [1] * 40)
    parts = split(texts, shares(0.1, 0.1))
    shingled = [shingles(text) for text in texts]
    for part, other in (
        (parts.test, parts.train),
        (parts.validation, parts.train),
        (parts.test, parts.validation),
    ):
        assert (
            max(nearest([shingled[key] for key in part], [shingled[key] for key in other])) < parts.threshold
        )
    assert (len(parts.test), len(parts.validation), len(parts.train)) == (10, 10, 80)
    assert (parts.threshold, parts.clusters) == (0.5, 60)


def test_rows_of_one_template_are_still_split_by_a_stricter_measure():
    texts = families([30])
    parts = split(texts, shares(0.1))
    assert len(parts.test) == 3
    assert parts.threshold > 0.5


def test_more_rows_leave_nearly_all_earlier_ones_where_they_were():
    texts = families([1] * 80)
    few, many = split(texts[:60], shares()), split(texts, shares())
    assert len(set(few.test) & set(many.test)) >= len(few.test) - 2


CASES = {  # rows, test, validation -> (test, validation)
    "a tenth": (100, 0.1, 0.0, (10, 0)),
    "rounded": (134, 0.1, 0.1, (13, 13)),
    "at least one": (3, 0.1, 0.1, (1, 1)),
    "two rows: one to test, one to train": (2, 0.1, 0.1, (1, 0)),
    "one row cannot be split": (1, 0.5, 0.0, (0, 0)),
    "no share, no rows": (50, 0.0, 0.0, (0, 0)),
    "train keeps one": (2, 0.9, 0.0, (1, 0)),
}


@pytest.mark.parametrize(("rows", "test", "validation", "wanted"), CASES.values(), ids=CASES)
def test_targets(rows, test, validation, wanted):
    assert targets(rows, shares(test, validation)) == wanted
