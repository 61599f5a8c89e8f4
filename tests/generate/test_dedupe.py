"""Texts as shingles, in which language, and that the MinHash misses hardly any near pair, nor takes long."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith_jobs.generate.dedupe import (
    MISSED,
    PERMUTATIONS,
    Index,
    jaccard,
    ngrams,
    normalised,
    rows_of_band,
    shingles,
    words,
)

WORDS = {  # text -> its words
    "blanks and signs divide": ("Hello, big  world!", ["hello", "big", "world"]),
    "Chinese: a character is a word": ("请问,哪个字", list("请问哪个字")),
    "Chinese with a number": ("第12306次列车", ["第", "12306", "次", "列", "车"]),
    "Japanese, half width too": ("ｶﾅとカナ", list("カナとカナ")),
    "Thai, with its vowel signs": ("ผมชื่อ", list("ผมชื่อ")),
    "Korean has blanks": ("안녕 하세요", ["안녕", "하세요"]),
    "Hindi keeps its vowel signs": ("लड़के की किताब", ["लड\u093cके", "की", "किताब"]),
    "Hebrew keeps its points": ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
    "Arabic with and without marks is not one word": ("كَتَبَ كتب", ["كَتَبَ", "كتب"]),
    "a combining accent belongs to its letter": ("q\u0308uit", ["q\u0308uit"]),
    "only signs": ("?!", ["?!"]),
    "emoji": ("🙂🙂", ["🙂🙂"]),
}


@pytest.mark.parametrize(("text", "expected"), WORDS.values(), ids=WORDS)
def test_words(text, expected):
    assert words(normalised(text)) == [normalised(word) for word in expected]


EQUAL = {
    "case and blanks": ("Hello  there\n", "hello there"),
    "full-width and ligatures (NFKC)": ("ﬁle ＡBC", "file ABC"),
    "sharp s folds": ("Straße", "STRASSE"),
    "what nobody sees": ("\ufeffco\u00adop\u200b", "coop"),
    "no-break blank": ("a\u00a0b", "a b"),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equal_texts(one, other):
    assert normalised(one) == normalised(other)


def test_ngrams_of_short_texts():
    assert ngrams(["one", "two"], 3) == frozenset()
    assert shingles("one two") == {"one two"}
    assert ngrams(words("one two three four"), 3) == {"one two three", "two three four"}


@given(st.text(max_size=60), st.text(max_size=60))
def test_similarity_is_symmetric_and_1_only_for_equal_sets(one, other):
    first, second = shingles(normalised(one)), shingles(normalised(other))
    assert jaccard(first, second) == jaccard(second, first)
    assert (jaccard(first, second) == 1) == (first == second)
    assert jaccard(first, first) == 1


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.6, 0.7, 0.9, 0.99])
def test_bands_miss_hardly_any_pair(threshold):
    rows = rows_of_band(threshold)
    assert (1 - threshold**rows) ** (PERMUTATIONS // rows) <= MISSED


def test_an_index_finds_what_a_look_at_all_pairs_finds():
    rng = random.Random(3)
    texts = [shingles(" ".join(rng.choice("abcdef") for _ in range(12))) for _ in range(150)]
    index = Index(0.7)
    for key, text in enumerate(texts):
        signed = index.sign(text)
        expected = [at for at in range(key) if jaccard(text, texts[at]) >= 0.7]
        assert {near.key for near in index.like(signed)} == set(expected)
        index.add(key, signed)


def test_a_template_does_not_make_it_slow():
    # Each text is like each other by 0.6; looked at pair by pair, these are 8 million comparisons.
    template = " ".join(f"w{number}" for number in range(60))
    index = Index(0.7)
    begun = time.process_time()
    for key in range(4000):
        signed = index.sign(shingles(f"{template} {' '.join(f'v{key}x{part}' for part in range(18))}"))
        assert index.like(signed) == []
        index.add(key, signed)
    assert time.process_time() - begun < 5
