"""Texts as vectors of what they mean, and those that say the same in other words. Needs the extra `semantic`.

The vectors are static: the sum of those of the text's tokens, from the files of the package `wordllama`
(trained on English). A token counts once, and the more the longer its vector is, which is short for words
like "the": so paraphrases are told from other messages of the same kind better than by the plain mean
(98 of 100 instead of 81 at 1 of 1,000 lost, on the messages of benchmarks/generate). Word order counts for
nothing, and the vectors say nothing about texts in other scripts: these are not compared. Nothing is
downloaded.
"""

import functools
import importlib.metadata
import re
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.errors import BadRequest, Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

PACKAGE = "wordllama"
LEAST_LETTERS = 12  # in shorter texts a single word decides, and no two of them are told apart reliably
FOREIGN_MOST = 0.1  # share of letters beyond ASCII, above which a text is not taken as English
# Vectors are rounded to multiples of 1/1024. So every partial sum of a product is a multiple of 2^-20 below
# 2, which float32 holds exactly: the cosine is the same in whatever order, and by however many threads, it is
# summed.
_GRID = 1024
_BLOCK = 512  # rows that are compared with all others at once
# What a paraphrase keeps, and vectors hardly see: numbers, and in a short text whether something is denied
_NUMBER = re.compile(r"\d+")
_DENIAL = re.compile(r"\b(?:not|no|never|without|none|nothing|nobody|cannot)\b|n['\u2019]t\b", re.IGNORECASE)
_SHORT = 20  # words; in a longer text paraphrases, too, deny here and there


def check_installed(threshold: float) -> None:
    """Raise BadRequest if meaning is to be compared and the package is not installed."""
    if threshold < 1 and find_spec(PACKAGE) is None:
        problem = Problem(
            "spec.data.semanticDuplicates",
            f"the package {PACKAGE}, which compares meanings, is not installed where generate runs",
            threshold,
            "install the extra, pip install 'tunesmith[semantic]' (on a cluster: an image of generate that "
            "has it); or leave the field out",
        )
        raise BadRequest("a package is missing", reason="NotInstalled", problems=[problem])


def readable(text: str) -> bool:
    """Whether the vectors can say anything about a text: it has enough letters, nearly all of them basic."""
    letters = sum(map(str.isalpha, text))
    foreign = 0 if text.isascii() else sum(char > "\x7f" and char.isalpha() for char in text)
    return letters >= LEAST_LETTERS and foreign <= FOREIGN_MOST * letters


@dataclass(frozen=True)
class Meaning:
    """What a text means, as far as it can be told.

    `numbers` and `denials` are what two texts must share to mean the same, whatever their vectors say;
    denials are counted modulo 2, and only in short texts.
    """

    vector: "Vectors"
    numbers: Counter[str]
    denials: int | None


def meaning_of(text: str) -> Meaning | None:
    """The meaning of a text; None if the vectors can say nothing about it."""
    if not readable(text):
        return None
    short = len(text.split()) < _SHORT
    denials = len(_DENIAL.findall(text)) % 2 if short else None
    return Meaning(vector(text), Counter(_NUMBER.findall(text)), denials)


class Meanings:
    """Texts by number; finds the earlier one that means most nearly the same as a new text."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._keys: list[int] = []
        self._meanings: list[Meaning] = []
        self._vectors: Vectors | None = None

    def like(self, text: Meaning) -> tuple[int, float] | None:
        """The most similar earlier text of at least the threshold, and the cosine; None if there is none."""
        import numpy as np

        if self._vectors is None:
            return None
        # In one thread, as it is short: threads would wait for each other
        cosines = np.einsum("ij,j->i", self._vectors[: len(self._keys)], text.vector)
        near = [int(at) for at in np.flatnonzero(cosines >= self.threshold)]
        found = [at for at in near if _may_be_one(self._meanings[at], text)]
        if not found:
            return None
        best = max(found, key=lambda at: (cosines[at], -at))
        return self._keys[best], min(1.0, round(float(cosines[best]), 4))

    def add(self, key: int, text: Meaning) -> None:
        """Keep a text."""
        import numpy as np

        if self._vectors is None or len(self._keys) == len(self._vectors):
            larger = np.zeros((max(256, 2 * len(self._keys)), len(text.vector)), dtype=np.float32)
            if self._vectors is not None:
                larger[: len(self._keys)] = self._vectors
            self._vectors = larger
        self._vectors[len(self._keys)] = text.vector
        self._keys.append(key)
        self._meanings.append(text)


def _may_be_one(first: Meaning, second: Meaning) -> bool:
    return first.numbers == second.numbers and (
        first.denials is None or second.denials is None or first.denials == second.denials
    )


def pairs(texts: list[str], threshold: float) -> list[tuple[int, int]]:
    """All pairs of texts, by number, whose vectors are this similar, in order."""
    import numpy as np

    keys = [key for key, text in enumerate(texts) if readable(text)]
    if len(keys) < 2:
        return []
    all_vectors = np.stack([vector(texts[key]) for key in keys])
    found = []
    for begin in range(0, len(keys), _BLOCK):
        cosines = all_vectors[begin : begin + _BLOCK] @ all_vectors.T
        for row, other in np.argwhere(cosines >= threshold):
            if begin + row < other:
                found.append((keys[begin + int(row)], keys[int(other)]))
    return found


def vector(text: str) -> "Vectors":
    """The vector of a text, of length 1 but for rounding."""
    import numpy as np

    tokenizer, embedding = _model()
    ids = sorted(set(tokenizer.encode(text, add_special_tokens=False).ids))
    total = embedding[ids].sum(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(total)) or 1.0
    rounded: Vectors = (np.rint(total / length * _GRID) / _GRID).astype(np.float32)
    return rounded


@functools.cache
def _model() -> tuple[Any, Any]:
    """Tokenizer, and the vectors of its tokens times their lengths, read from the package's files.

    Its own loader may ask a hub, and its import sets up logging for the whole process.
    """
    import numpy as np
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    files = importlib.metadata.files(PACKAGE) or []
    weights = next(file for file in files if file.name == "l2_supercat_256.safetensors")
    tokens = next(file for file in files if file.name == "l2_supercat_tokenizer_config.json")
    embedding = load_file(Path(str(weights.locate())))["embedding.weight"].astype("float32")
    embedding *= np.linalg.norm(embedding, axis=1, keepdims=True)
    return Tokenizer.from_file(str(tokens.locate())), embedding
