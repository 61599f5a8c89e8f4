"""Equal and nearly equal texts: MinHash names candidates, the exact Jaccard similarity of 3-shingles decides.

Shingles are of words; each character of a script that is written without spaces (Chinese, Japanese, Thai,
...) counts as a word. A text of fewer than three words is one shingle.
"""

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHINGLE = 3
PERMUTATIONS = 128
MISSED = 1e-3  # chance that a pair just at the threshold is not a candidate
_SEED = 42

# Thai and Lao, Myanmar, Khmer, kana, Han: a word per character
_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_WORDS = re.compile(rf"[{_SPACELESS}]|[^\W{_SPACELESS}]+")


def normalised(text: str) -> str:
    """The text in NFKC, case folded, with single spaces. Exact duplicates are equal in this form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """The words of a normalised text; the text itself if it has none (signs only)."""
    return _WORDS.findall(text) or [text]


def shingles(text: str) -> frozenset[str]:
    """The 3-shingles of a text."""
    tokens = words(normalised(text))
    if len(tokens) < SHINGLE:
        return frozenset([" ".join(tokens)])
    return frozenset(" ".join(tokens[at : at + SHINGLE]) for at in range(len(tokens) - SHINGLE + 1))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared shingles over all shingles."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


@functools.cache
def bands(threshold: float) -> int:
    """Bands of the MinHash: the fewest that miss a pair at the threshold with a chance of at most MISSED.

    With r rows a band and b = PERMUTATIONS / r bands, a pair of similarity s is a candidate with chance
    1 - (1 - s^r)^b.
    """
    for rows in (16, 8, 4, 2):
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) <= MISSED:
            return PERMUTATIONS // rows
    return PERMUTATIONS


@dataclass(frozen=True)
class Match:
    """An earlier text, by its number, and how similar it is."""

    key: int
    similarity: float


class Index:
    """Texts by number; finds those that a new text is like."""

    def __init__(self, threshold: float) -> None:
        from rensa import RMinHashLSH

        self.threshold = threshold
        self._lsh = RMinHashLSH(threshold, PERMUTATIONS, bands(threshold))
        self._shingles: dict[int, frozenset[str]] = {}

    def like(self, text: frozenset[str]) -> list[Match]:
        """Earlier texts of at least the threshold's similarity, most similar first, then in order.

        `text`: its shingles.
        """
        keys = self._lsh.query(_minhash(text))
        candidates = [Match(key, jaccard(text, self._shingles[key])) for key in keys]
        matches = [match for match in candidates if match.similarity >= self.threshold]
        return sorted(matches, key=lambda match: (-match.similarity, match.key))

    def add(self, key: int, text: frozenset[str]) -> None:
        """Keep a text, by its shingles."""
        self._lsh.insert(key, _minhash(text))
        self._shingles[key] = text


def _minhash(text: frozenset[str]) -> object:
    from rensa import RMinHash

    minhash = RMinHash(PERMUTATIONS, _SEED)
    minhash.update(list(text))
    return minhash


class Duplicates:
    """Takes texts in order and says which are like an earlier one.

    A threshold of 1 means exact duplicates only.
    """

    def __init__(self, threshold: float) -> None:
        self._exact: dict[str, int] = {}
        self._near = Index(threshold) if threshold < 1 else None
        self._count = 0

    def take(self, text: str) -> Match | None:
        """The earlier text that this one repeats; None if it is new, and then it is kept.

        Numbers count the kept texts from 0.
        """
        plain = normalised(text)
        earlier = self._exact.get(plain)
        if earlier is not None:
            return Match(earlier, 1.0)
        if self._near is not None:
            parts = shingles(text)
            matches = self._near.like(parts)
            if matches:
                return matches[0]
            self._near.add(self._count, parts)
        self._exact[plain] = self._count
        self._count += 1
        return None


def clusters(texts: Iterable[frozenset[str]], threshold: float) -> list[list[int]]:
    """Groups of texts that are linked by pairs of at least the threshold's similarity (union-find).

    Each group is a list of the texts' numbers, in order.
    """
    parents: list[int] = []

    def root(key: int) -> int:
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    index = Index(threshold)
    for key, text in enumerate(texts):
        parents.append(key)
        for match in index.like(text):
            first, second = sorted((root(match.key), root(key)))
            parents[second] = first
        index.add(key, text)
    groups: dict[int, list[int]] = {}
    for key in range(len(parents)):
        groups.setdefault(root(key), []).append(key)
    return list(groups.values())


def nearest(texts: Sequence[frozenset[str]], others: Sequence[frozenset[str]]) -> list[float]:
    """For each text the highest similarity to any of the others: exact, by the shingles that they share."""
    places: dict[str, list[int]] = {}
    for key, other in enumerate(others):
        for shingle in other:
            places.setdefault(shingle, []).append(key)
    best = []
    for text in texts:
        shared = Counter(key for shingle in text for key in places.get(shingle, ()))
        similarities = [count / (len(text) + len(others[key]) - count) for key, count in shared.items()]
        best.append(max(similarities, default=0.0))
    return best
