"""The split: every row once, what belongs together on one side, shares as near as groups allow."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.settings import Split
from tunesmith_jobs.generate.dedupe import jaccard, shingles
from tunesmith_jobs.generate.overlap import Overlaps
from tunesmith_jobs.generate.split import Rows, fill, quota, split, targets


def shares(test=0.1, validation=0.0, seed=42):
    return Split.model_validate({"test": test, "validation": validation, "seed": seed})


def rows_of(texts, marks=None, topics=None, links=(), overlaps=None):
    return Rows(
        texts=texts,
        overlaps=overlaps or Overlaps([0] * len(texts), {}),
        marks=marks or [frozenset()] * len(texts),
        topics=topics or [""] * len(texts),
        links=links,
    )


def families(sizes, seed=0):
    """Texts in families: those of one family share 38 of 40 words, others nothing."""
    rng = random.Random(seed)
    texts = []
    for family, size in enumerate(sizes):
        words = [f"f{family}w{number}" for number in range(40)]
        texts += [" ".join([*words[:38], f"x{member}", f"y{member}"]) for member in range(size)]
    rng.shuffle(texts)
    return texts


def sides(parts):
    return {key: name for name in ("train", "validation", "test") for key in getattr(parts, name)}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=25),
    st.floats(0, 0.5),
    st.floats(0, 0.4),
    st.integers(0, 99),
    st.integers(1, 4),
)
def test_every_row_is_in_exactly_one_part_whatever_the_order(sizes, test, validation, seed, topics):
    texts = families(sizes)
    topic = [str(key % topics) for key in range(len(texts))]
    parts = split(rows_of(texts, topics=topic), shares(test, validation, seed))
    assert sorted([*parts.train, *parts.validation, *parts.test]) == list(range(len(texts)))
    if len(texts) >= 2:
        assert parts.train
        assert bool(parts.test) == (test > 0)
    assert parts == split(rows_of(texts, topics=topic), shares(test, validation, seed))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=20, max_size=40), st.integers(0, 99))
def test_near_copies_are_never_on_both_sides(sizes, seed):
    texts = families(sizes)
    parts = split(rows_of(texts), shares(0.1, 0.1, seed))
    side = sides(parts)
    shingled = [shingles(text) for text in texts]
    assert parts.threshold == 0.5
    for one in range(len(texts)):
        for other in range(one):
            if jaccard(shingled[one], shingled[other]) >= 0.5:
                assert side[one] == side[other]


def test_sizes_are_exact_where_groups_allow():
    parts = split(rows_of(families([3] * 20 + [1] * 40)), shares(0.1, 0.1))
    assert (len(parts.test), len(parts.validation), len(parts.train)) == (10, 10, 80)
    assert (parts.threshold, parts.clusters) == (0.5, 60)


def test_rows_of_one_template_are_split_by_what_differs():
    template = " ".join(f"word{number}" for number in range(30))
    question = [f"{template} a{key} b{key} c{key} d{key} e{key}" for key in range(27)]
    copies = [f"{text} f{at}" for at, text in enumerate(question[:3])]
    parts = split(rows_of(question + copies), shares(0.1))
    side = sides(parts)
    assert len(parts.test) == 3
    assert parts.template, "the template has to be left out to divide these"
    assert all(side[at] == side[27 + at] for at in range(3)), "copies within the template stay together"


def test_rows_that_are_all_one_are_divided_all_the_same_and_nothing_is_promised():
    parts = split(rows_of(["the very same text"] * 20), shares(0.1))
    assert (len(parts.test), parts.threshold) == (2, 1.0)


def test_marks_links_and_copied_text_keep_rows_together():
    texts = families([1] * 60)
    marks = [frozenset([f"passage {key // 3}"] if key < 30 else []) for key in range(60)]
    links = [(40, 50), (41, 51)]
    overlaps = Overlaps([10] * 60, {(52, 53): 6, (54, 55): 4})
    for seed in range(20):
        side = sides(split(rows_of(texts, marks, None, links, overlaps), shares(0.2, 0.2, seed)))
        assert all(len({side[key] for key in range(at, at + 3)}) == 1 for at in range(0, 30, 3))
        assert side[40] == side[50]
        assert side[41] == side[51]
        assert side[52] == side[53]
    assert any(
        side[54] != side[55]
        for seed in range(20)
        for side in [sides(split(rows_of(texts, overlaps=overlaps), shares(0.2, 0.2, seed)))]
    )


def test_a_passage_that_nearly_all_rows_are_about_divides_nothing():
    texts = families([1] * 40)
    parts = split(rows_of(texts, [frozenset(["the only passage"])] * 40), shares(0.1))
    assert (len(parts.test), parts.threshold) == (4, 0.5)


def test_each_topic_has_its_share_of_each_part():
    texts = families([1] * 200)
    topics = [("returns", "invoices", "delivery", "account")[key % 4] for key in range(200)]
    parts = split(rows_of(texts, topics=topics), shares(0.1, 0.1))
    for part in (parts.test, parts.validation):
        assert sorted(topics[key] for key in part) == sorted(
            ["returns", "invoices", "delivery", "account"] * 5
        )


def test_more_rows_leave_nearly_all_earlier_ones_where_they_were():
    texts = families([1] * 80)
    few, many = split(rows_of(texts[:60]), shares()), split(rows_of(texts), shares())
    assert len(set(few.test) & set(many.test)) >= len(few.test) - 2


FILLS = {  # sizes of the groups in order, wanted -> sizes of (test, validation)
    "in order": ([1] * 10, (2, 3), (2, 3)),
    "a group that is too large is passed over": ([4, 1, 1, 1], (2, 0), (2, 0)),
    "a larger group takes the place of one, to be exact": ([2, 2, 3, 3], (5, 0), (5, 0)),
    "none fits": ([4, 4, 4], (2, 0), (0, 0)),
    "as near as whole groups allow": ([2, 2, 2], (3, 0), (2, 0)),
}


@pytest.mark.parametrize(("sizes", "wanted", "expected"), FILLS.values(), ids=FILLS)
def test_fill(sizes, wanted, expected):
    keys = iter(range(sum(sizes)))
    groups = [[next(keys) for _ in range(size)] for size in sizes]
    parts = fill(groups, [""] * sum(sizes), wanted)
    assert tuple(map(len, parts)) == expected
    assert all(set(group) <= set(part) or not set(group) & set(part) for group in groups for part in parts)


def test_quotas_add_up_and_are_fair():
    quotas = quota(Counter({"a": 50, "b": 30, "c": 20}), 7, 100)
    assert quotas == {"a": 4, "b": 2, "c": 1}
    assert sum(quota(Counter({"a": 1, "b": 1, "c": 1}), 2, 3).values()) == 2


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
