"""Rows of one passage of documents stay on one side of the split."""

import random

import pytest

from tunesmith.settings import Split as Shares
from tunesmith_jobs.generate.overlap import overlaps_of
from tunesmith_jobs.generate.split import Rows, split

WORDS = (
    "amber",
    "basil",
    "cedar",
    "daisy",
    "elm",
    "fern",
    "ginger",
    "hazel",
    "iris",
    "kelp",
    "lotus",
    "poppy",
)


def rows_of(sizes):
    rng = random.Random(1)
    passages = [f"p{number}" for number, size in enumerate(sizes) for _ in range(size)]
    texts = [" ".join(rng.choices(WORDS, k=12)) for _ in passages]
    return Rows(
        texts=texts,
        overlaps=overlaps_of(texts),
        marks=[frozenset([text]) for text in texts],
        topics=["a.md"] * len(texts),
        passages=passages,
    )


CASES = {  # rows of each passage, shares -> the most rows of test and validation
    "few passages": ([7, 8, 9, 7, 6, 8, 7, 8], {"test": 0.1}, 9),
    "few passages, a larger share": ([7, 8, 9, 7, 6, 8, 7, 8], {"test": 0.2}, 16),
    "a row each": ([1] * 40, {"test": 0.1}, 4),
    "one large passage": ([30, 2, 2, 2, 2, 2], {"test": 0.1}, 4),
    "two parts": ([5] * 20, {"test": 0.1, "validation": 0.1}, 20),
    "one that is too large, and one": ([6, 5], {"test": 0.3}, 5),
}


@pytest.mark.parametrize(("sizes", "shares", "most"), CASES.values(), ids=CASES)
def test_no_passage_is_on_both_sides(sizes, shares, most):
    rows = rows_of(sizes)
    parts = split(rows, Shares(**shares))
    sides = [{rows.passages[key] for key in part} for part in (parts.train, parts.test, parts.validation)]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    assert bool(sides[2]) == ("validation" in shares)
    assert 0 < len(parts.test) + len(parts.validation) <= most


@pytest.mark.parametrize(
    "sizes", [[20], [20, 20]], ids=["one passage", "two passages of ten times the share"]
)
def test_passages_that_are_too_few_are_divided(sizes):
    parts = split(rows_of(sizes), Shares(test=0.05))
    assert len(parts.test) == len(parts.train + parts.test) // 20
