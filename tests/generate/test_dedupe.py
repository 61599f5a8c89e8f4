"""Duplicates: what counts as the same, in which language, and that candidates are not missed."""

import random

import pytest

from tunesmith_jobs.generate.dedupe import (
    MISSED,
    PERMUTATIONS,
    Duplicates,
    bands,
    clusters,
    jaccard,
    nearest,
    shingles,
)

LONG = (
    "my lamp from the shop in Leeds does not turn on any more since Monday "
    "and I would like to have it repaired"
)
RIDDLE = "请问,哪个字一年四季都不会凋零?请一步一步说明理由。"
CASES = {  # earlier, later, threshold -> similarity found, or None
    "the same text": ("Hello there", "Hello there", 1.0, 1.0),
    "other case and blanks": ("Hello  there\n", "hello there", 1.0, 1.0),
    "full-width and ligatures (NFKC)": ("ﬁle ABC", "file ABC", 1.0, 1.0),
    "sharp s folds": ("Straße", "STRASSE", 1.0, 1.0),
    "one word more is near": (LONG, LONG + " soon", 0.7, 0.95),
    "one word more is not exact": (LONG, LONG + " soon", 1.0, None),
    "half of it is another text": (
        LONG,
        "my lamp from the shop in Leeds is lovely, and my cat likes to sit below it at night",
        0.7,
        None,
    ),
    "Chinese: a character is a word": (RIDDLE, RIDDLE.replace("请一步一步", "一步一步"), 0.7, 0.78),
    "Chinese: another riddle": (RIDDLE, "什么东西越洗越脏?请说明理由。", 0.7, None),
    "Thai has no spaces either": ("สวัสดีครับผมอยากสั่งอาหาร", "สวัสดีครับผมอยากสั่งอาหา", 0.7, 0.96),
    "two words are one shingle": ("good day", "good night", 0.5, None),
    "signs only": ("?!", "?!?", 0.7, None),
}


@pytest.mark.parametrize(("earlier", "later", "threshold", "similarity"), CASES.values(), ids=CASES)
def test_duplicates(earlier, later, threshold, similarity):
    duplicates = Duplicates(threshold)
    assert duplicates.take(earlier) is None
    match = duplicates.take(later)
    assert (match and match.similarity) == (similarity and pytest.approx(similarity, abs=0.05))


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.6, 0.7, 0.9, 0.99])
def test_bands_divide_the_signature_and_miss_hardly_any_pair(threshold):
    rows = PERMUTATIONS // bands(threshold)
    assert rows * bands(threshold) == PERMUTATIONS
    assert threshold < 0.1 or (1 - threshold**rows) ** bands(threshold) <= MISSED


def made_up(rng, words, count):
    return [" ".join(rng.choice(words) for _ in range(40)) for _ in range(count)]


def test_every_planted_near_duplicate_is_found():
    rng = random.Random(7)
    words = [f"w{number}" for number in range(3000)]
    texts = made_up(rng, words, 400)
    planted = [f"{text} {rng.choice(words)}" for text in texts[:150]]
    duplicates = Duplicates(0.7)
    assert not any(duplicates.take(text) for text in texts)
    assert [duplicates.take(text).key for text in planted] == list(range(150))


def test_clusters_hang_together_over_several_steps():
    chain = [" ".join(f"w{number}" for number in range(start, start + 30)) for start in (0, 6, 12, 100)]
    assert clusters([shingles(text) for text in chain], 0.5) == [[0, 1, 2], [3]]


def test_nearest_is_the_exact_highest_similarity():
    rng = random.Random(3)
    sets = [shingles(text) for text in made_up(rng, "abcde", 60)]
    expected = [max(jaccard(one, other) for other in sets[20:]) for one in sets[:20]]
    assert nearest(sets[:20], sets[20:]) == pytest.approx(expected)
