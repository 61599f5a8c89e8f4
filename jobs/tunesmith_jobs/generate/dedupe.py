"""Texts as sets of words in a row, and the nearly equal ones among many.

MinHash names candidates; the exact Jaccard similarity of 3-shingles decides. Shingles are of words; each
character of a script that is written without spaces (Chinese, Japanese, Thai, ...) counts as a word. A text
of fewer than three words is one shingle.
"""

import functools
import re
import struct
import unicodedata
from array import array
from dataclasses import dataclass

SHINGLE = 3
PERMUTATIONS = 160
MISSED = 5e-3  # chance that a pair just at the threshold is not a candidate
# Texts that are looked at for a band of the MinHash that they share: what more have in common is a template,
# and near-copies share other bands, too. So a text has at most BUCKET candidates a band, of however many.
BUCKET = 16
_SEED = 42

# Thai and Lao, Myanmar, Khmer, kana, Han: a word per character
_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# Vowel signs and other marks, which belong to the letter before them: for `re` they are no part of a word,
# and without them Hindi for "of" would be one word in all its forms
_MARKS = "".join(char for char in map(chr, range(0x300, 0x2000)) if unicodedata.category(char)[0] == "M")
_WORDS = re.compile(rf"[^\W{_SPACELESS}]+(?:[{_MARKS}]+[^\W{_SPACELESS}]*)*|[{_SPACELESS}]")
_ASCII_WORDS = re.compile(r"\w+")  # the same, twice as fast
# Unicode's NFKC_Casefold leaves these out: soft hyphen, zero-width blanks and joins, byte order mark
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))


def normalised(text: str) -> str:
    """The text in NFKC, case folded, with single spaces and without characters that nobody sees.

    Exact duplicates are equal in this form.
    """
    return " ".join(unicodedata.normalize("NFKC", text).translate(_UNSEEN).casefold().split())


def words(text: str) -> list[str]:
    """The words of a normalised text; the text itself if it has none (signs only)."""
    return (_ASCII_WORDS if text.isascii() else _WORDS).findall(text) or [text]


def ngrams(tokens: list[str], size: int) -> frozenset[str]:
    """Each `size` words in a row; none if there are fewer."""
    return frozenset(map(" ".join, zip(*(tokens[at:] for at in range(size)), strict=False)))


def shingles(text: str) -> frozenset[str]:
    """The 3-shingles of a normalised text."""
    tokens = words(text)
    return ngrams(tokens, SHINGLE) or frozenset([" ".join(tokens)])


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared shingles over all shingles; 0 for two empty sets."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared) if shared else 0.0


@functools.cache
def rows_of_band(threshold: float) -> int:
    """Rows a band of the MinHash: the most that miss a pair at the threshold with a chance of at most MISSED.

    With r rows a band and b = PERMUTATIONS // r bands, a pair of similarity s is a candidate with chance
    1 - (1 - s^r)^b.
    """
    for rows in (16, 10, 8, 6, 5, 4, 3, 2):
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) <= MISSED:
            return rows
    return 1


@dataclass(frozen=True)
class Near:
    """An earlier text, by its number, and how similar it is."""

    key: int
    similarity: float


@dataclass(frozen=True)
class Signed:
    """A text's shingles, and its MinHash, cut into bands."""

    shingles: frozenset[str]
    bands: tuple[bytes, ...]


class Index:
    """Texts by number; finds those that a new text is like."""

    def __init__(self, threshold: float) -> None:
        from rensa import RMinHash

        self.threshold = threshold
        self._minhash = RMinHash
        rows = rows_of_band(threshold)
        bands = PERMUTATIONS // rows
        self._cut = struct.Struct(f"{4 * rows}s" * bands + f"{4 * (PERMUTATIONS - rows * bands)}x")
        # By band: the number of the first text that has it, and those of further ones
        self._first: list[dict[bytes, int]] = [{} for _ in range(bands)]
        self._further: list[dict[bytes, list[int]]] = [{} for _ in range(bands)]
        self._shingles: dict[int, frozenset[str]] = {}

    def sign(self, text: frozenset[str]) -> Signed:
        """A text, given as its shingles, as this index looks at it."""
        minhash = self._minhash(PERMUTATIONS, _SEED)
        minhash.update(list(text))
        signature = array("I", minhash.digest()).tobytes()
        return Signed(text, self._cut.unpack(signature))

    def like(self, text: Signed) -> list[Near]:
        """Earlier texts of at least the threshold's similarity, most similar first, then in order."""
        candidates = set()
        for band, first, further in zip(text.bands, self._first, self._further, strict=True):
            if band in first:
                candidates.add(first[band])
                candidates.update(further.get(band, ()))
        near = []
        size = len(text.shingles)
        for key in candidates:
            other = self._shingles[key]
            if min(size, len(other)) >= self.threshold * max(
                size, len(other)
            ):  # else they cannot be so similar
                similarity = jaccard(text.shingles, other)
                if similarity >= self.threshold:
                    near.append(Near(key, similarity))
        return sorted(near, key=lambda each: (-each.similarity, each.key))

    def add(self, key: int, text: Signed) -> None:
        """Keep a text."""
        self._shingles[key] = text.shingles
        for band, first, further in zip(text.bands, self._first, self._further, strict=True):
            if first.setdefault(band, key) != key:
                keys = further.setdefault(band, [])
                if len(keys) < BUCKET - 1:
                    keys.append(key)
