"""Duplicates in meaning: what the vectors can tell, and what they cannot."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest

from tunesmith.errors import BadRequest
from tunesmith_jobs.generate import meaning
from tunesmith_jobs.generate.duplicates import Duplicates

LAMP = "My lamp does not turn on any more since Monday, please send someone to repair it."
CASES = {  # earlier, later -> whether it is the same in other words, at 0.7
    "other words, other order": (
        LAMP,
        "Since Monday my lamp does not switch on any more; could you send somebody to fix it?",
        True,
    ),
    "another number": ("Divide 240 cookies among 12 children", "Divide 250 cookies among 12 children", False),
    "the same numbers elsewhere": (
        "Share 240 cookies among 12 children",
        "Divide 240 cookies between 12 children",
        True,
    ),
    "denied": ("The parcel has arrived in time", "The parcel has not arrived in time", False),
    "denied in both": ("The parcel hasn't arrived in time", "The parcel did not arrive in time", True),
    "something else": (LAMP, "Please cancel the order that I placed this morning.", False),
    "a long text may deny in other words": (
        "The parcel I ordered in Leeds has not arrived, and I need the lamp for the wedding of my sister.",
        "I am still waiting for the parcel I ordered in Leeds, and I need the lamp for my sister's wedding.",
        True,
    ),
    "too short to tell": ("translate dog", "translate cat", False),
    "not English": (
        "客户想要退款,因为台灯坏了,请尽快处理这个问题。",
        "客户想要退款,因为台灯坏掉了,请尽快处理这个问题!",
        False,
    ),
}


@pytest.mark.parametrize(("earlier", "later", "same"), CASES.values(), ids=CASES)
def test_meaning(earlier, later, same):
    duplicates = Duplicates(1.0, 0.7)
    assert duplicates.take(earlier) is None
    match = duplicates.take(later)
    assert (match is not None) == same
    assert match is None or (match.level, match.key) == ("semanticDuplicate", 0)


def test_vectors_are_made_of_those_of_the_library():
    command = (
        "import json, wordllama; from pathlib import Path; "
        "model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True); "
        "print(json.dumps(model.embed(['lamp', 'the'], norm=False).tolist()))"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    lamp, the = np.array(json.loads(done.stdout))
    expected = lamp * np.linalg.norm(lamp) + the * np.linalg.norm(the)
    expected /= np.linalg.norm(expected)
    assert meaning.vector("the lamp lamp the lamp") == pytest.approx(expected, abs=1 / 1024)


def test_cosines_are_the_same_in_whatever_order_they_are_summed():
    rng = random.Random(5)
    words = ["lamp", "refund", "urgent", "broken", "export", "page", "login", "monday", "kindly", "team"]
    vectors = np.stack([meaning.vector(" ".join(rng.choices(words, k=12))) for _ in range(60)])
    shuffled = rng.sample(range(vectors.shape[1]), vectors.shape[1])
    assert np.array_equal(vectors @ vectors.T, vectors[:, shuffled] @ vectors[:, shuffled].T)
    assert np.array_equal(vectors @ vectors.T, np.stack([vectors @ vector for vector in vectors]))


def test_all_pairs_are_those_of_each_text_with_each():
    texts = [LAMP, "Please cancel the order.", "短", CASES["other words, other order"][1], LAMP + " Thanks!"]
    assert meaning.pairs(texts, 0.7) == [(0, 3), (0, 4), (3, 4)]
    assert meaning.pairs(["短", "长"], 0.7) == []


def test_many_texts_are_kept_and_found():
    meanings = meaning.Meanings(0.999)
    letters = "abcdefghijklmnopqrst"
    texts = [f"the {one} of my {other}{other} is broken" for one in letters for other in letters]
    for key, text in enumerate(texts):
        meanings.add(key, meaning.meaning_of(text))
    assert meanings.like(meaning.meaning_of(texts[377])) == (377, pytest.approx(1.0, abs=0.002))


def test_a_missing_package_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setattr(meaning, "find_spec", lambda name: None)
    meaning.check_installed(1.0)
    with pytest.raises(BadRequest, match=r"tunesmith\[semantic\]") as error:
        meaning.check_installed(0.9)
    assert (error.value.reason, error.value.problems[0].path) == (
        "NotInstalled",
        "spec.data.semanticDuplicates",
    )
