"""Rows that repeat an earlier one: on which level, of which, how similar, and what is none."""

import json
import random

import pytest

from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.generate.duplicates import Duplicates, Match
from tunesmith_jobs.rows import Row

LONG = (
    "my lamp from the shop in Leeds does not turn on any more since Monday "
    "and I would like to have it repaired"
)
RIDDLE = "请问,哪个字一年四季都不会凋零?请一步一步说明理由。"
CASES = {  # earlier, later, threshold -> level and similarity, or None
    "the same text": ("Hello there", "Hello there", 1.0, ("duplicate", 1.0)),
    "other case and blanks": ("Hello  there\n", "hello there", 1.0, ("duplicate", 1.0)),
    "other signs are near": (LONG, LONG + "!", 0.7, ("nearDuplicate", 1.0)),
    "one word more is near": (LONG, LONG + " soon", 0.7, ("nearDuplicate", 0.95)),
    "one word more is not exact": (LONG, LONG + " soon", 1.0, None),
    "half of it is another text": (
        LONG,
        "my lamp from the shop in Leeds is lovely, and my cat likes to sit below it at night",
        0.7,
        None,
    ),
    "Chinese: a character is a word": (
        RIDDLE,
        RIDDLE.replace("请一步一步", "一步一步"),
        0.7,
        ("nearDuplicate", 0.78),
    ),
    "Chinese: another riddle": (RIDDLE, "什么东西越洗越脏?请说明理由。", 0.7, None),
    "Thai has no spaces either": (
        "สวัสดีครับผมอยากสั่งอาหาร",
        "สวัสดีครับผมอยากสั่งอาหา",
        0.7,
        ("nearDuplicate", 0.96),
    ),
    "two words are one shingle": ("good day", "good night", 0.5, None),
    "signs only": ("?!", "?!?", 0.7, None),
    "a number in a short text is another text": (
        "Farm to Market Road 1506 (FM 1506) is located in Lamar County.",
        "Farm to Market Road 1507 (FM 1507) is located in Lamar County.",
        0.7,
        None,
    ),
}


@pytest.mark.parametrize(("earlier", "later", "threshold", "expected"), CASES.values(), ids=CASES)
def test_levels(earlier, later, threshold, expected):
    duplicates = Duplicates(threshold)
    assert duplicates.take(earlier) is None
    match = duplicates.take(later)
    assert (match and (match.level, match.similarity)) == (
        expected and (expected[0], pytest.approx(expected[1], abs=0.05))
    )


def test_every_planted_near_duplicate_is_found_and_names_its_original():
    rng = random.Random(7)
    words = [f"w{number}" for number in range(3000)]
    texts = [" ".join(rng.choice(words) for _ in range(40)) for _ in range(400)]
    planted = [f"{text} {rng.choice(words)}" for text in texts[:150]]
    duplicates = Duplicates(0.7)
    assert not any(duplicates.take(text) for text in texts)
    assert [duplicates.take(text).key for text in planted] == list(range(150))


def test_the_first_of_a_kind_stays_and_what_repeats_a_dropped_row_alone_is_kept():
    chain = [" ".join(f"w{number}" for number in range(start, start + 40)) for start in (0, 5, 10)]
    duplicates = Duplicates(0.7)
    assert duplicates.take(chain[0]) is None
    assert duplicates.take(chain[1]).key == 0
    assert duplicates.take(chain[2]) is None, "it is like the dropped row, and no kept one"


def test_numbers_count_kept_texts_over_all_that_are_compared_apart():
    duplicates = Duplicates(0.7)
    assert duplicates.take(LONG, within="a pirate") is None
    assert duplicates.take(LONG, within="a clerk") is None
    assert duplicates.take(LONG, within="a clerk") == Match(1, "duplicate", 1.0)
    assert duplicates.take(LONG + " soon", within="a pirate").key == 0


def offered(*rows, near=0.7, semantic=1.0):
    dataset = Dataset(near, semantic)
    for row in rows:
        dataset.offer(row)
    return dataset


def test_a_drop_says_which_row_it_repeats_on_which_level_and_how_similar():
    dataset = offered(
        Row(id="l1", prompt=LONG, response="repair"),
        Row(id="l2", prompt=LONG.upper(), response="refund"),
        Row(id="l3", prompt=LONG + " soon", response="Repair"),
    )
    exact, near = map(json.loads, dataset.rejected_lines().splitlines())
    assert (exact["reason"], exact["like"], exact["similarity"]) == ("duplicate", "l1", 1.0)
    assert exact["detail"] == "the prompt is that of l1, with another response"
    assert (near["reason"], near["like"]) == ("nearDuplicate", "l1")
    assert near["similarity"] == pytest.approx(0.95, abs=0.01)
    assert near["detail"].endswith("that of l1, with the same response")


def test_rows_with_system_messages_of_their_own_repeat_only_rows_with_the_same():
    pirate, clerk = "Answer as a pirate.", "Answer as a clerk."
    dataset = offered(
        Row(id="l1", prompt=LONG, response="Arr", system=pirate),
        Row(id="l2", prompt=LONG, response="Noted", system=clerk),
        Row(id="l3", prompt=LONG, response="Arr", system=pirate),
    )
    assert [row.id for row in dataset.rows] == ["l1", "l2"]
    assert dataset.rejected[0].like == "l1"
