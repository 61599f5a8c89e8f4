"""Pairs about a passage of documents: a sentence of it begins in the prompt and ends in the response."""

import random
import re
from typing import NamedTuple

_PASSAGE = re.compile(r"<(passage-[0-9a-f]+)>\n(.*?)\n</\1>", re.DOTALL)
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|\n\s*\n|(?<=[。！？])")
_LEAST = 6  # words of a sentence that can be divided


class Grounded(NamedTuple):
    """A pair, and the sentence of the passage that it rests on."""

    prompt: str
    response: str
    evidence: str


def pairs(rng: random.Random, about: str, count: int) -> list[Grounded] | None:
    """Pairs about the passage in a call, as many as it has sentences for; None if it has no passage."""
    found = _PASSAGE.search(about)
    if found is None:
        return None
    sentences = [" ".join(each.split()) for each in _SENTENCE_ENDS.split(found[2])]
    fit = [each for each in sentences if len(each.split()) >= _LEAST]
    return [_pair(rng, each) for each in rng.sample(fit, min(count, len(fit)))]


def _pair(rng: random.Random, sentence: str) -> Grounded:
    words = sentence.split()
    half = rng.randint(len(words) // 2, len(words) - 2)
    number = rng.randint(100_000, 999_999)
    prompt = f"(scripted {number}) How does this go on: {' '.join(words[:half])}"
    return Grounded(prompt, f"(scripted) {' '.join(words[half:])}", sentence)
