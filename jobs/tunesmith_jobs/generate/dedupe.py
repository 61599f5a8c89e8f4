"""Same and nearly same texts: MinHash finds candidates, exact Jaccard similarity of 3-shingles decides.

Shingles are of words; each character of a script that writes without spaces (Chinese, Japanese, Thai, ...) counts as a word. A text of
fewer than three words is one shingle.
"""

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHINGLE = 3
PERMUTATIONS = 128
MISSED = 1e-3  # chance that a pair just at the threshold is no candidate
_SEED = 42

# Kana, Han, Thai and Lao, Myanmar, Khmer: a character each; then words of all other scripts, with their marks.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORDS = re.compile(rf"[{_SPACELESS}]|[^\W{_SPACELESS}]+")


def normalised(text: str) -> str:
    """NFKC, case folded, blanks as one space: texts that are equal so are exact duplicates."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """The words of a text that `normalised` returned; the text itself where it has none (signs only)."""
    return _WORDS.findall(text) or [text]


def shingles(text: str) -> frozenset[str]:
    """The 3-shingles of a text."""
    found = words(normalised(text))
    if len(found) < SHINGLE:
        return frozenset([" ".join(found)])
    return frozenset(" ".join(found[at : at + SHINGLE]) for at in range(len(found) - SHINGLE + 1))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared shingles over all shingles."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


@functools.cache
def bands(threshold: float) -> int:
    """Bands of the MinHash, as few as miss a pair at the threshold with a chance of at most MISSED.

    With r rows a band, b = PERMUTATIONS / r bands, a pair of similarity s is a candidate with chance 1 - (1 - s^r)^b.
    """
    for rows in (16, 8, 4, 2):
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) <= MISSED:
            return PERMUTATIONS // rows
    return PERMUTATIONS


@dataclass(frozen=True)
class Match:
    """An earlier text that one is like."""

    key: int
    similarity: float


class Index:
    """Texts by number, to be asked for those that a new one is like."""

    def __init__(self, threshold: float) -> None:
        from rensa import RMinHashLSH

        self.threshold = threshold
        self._lsh = RMinHashLSH(threshold, PERMUTATIONS, bands(threshold))
        self._shingles: dict[int, frozenset[str]] = {}
        self._digests: dict[int, object] = {}

    def like(self, found: frozenset[str]) -> list[Match]:
        """Earlier texts of at least the threshold's similarity, most similar first, then in order."""
        matches = [
            Match(key, jaccard(found, self._shingles[key])) for key in self._lsh.query(_minhash(found))
        ]
        return sorted(
            (match for match in matches if match.similarity >= self.threshold),
            key=lambda match: (-match.similarity, match.key),
        )

    def add(self, key: int, found: frozenset[str]) -> None:
        """Keep a text."""
        self._lsh.insert(key, _minhash(found))
        self._shingles[key] = found


def _minhash(found: frozenset[str]) -> object:
    from rensa import RMinHash

    minhash = RMinHash(PERMUTATIONS, _SEED)
    minhash.update(list(found))
    return minhash


class Duplicates:
    """Takes texts in order and says which are like an earlier one. A threshold of 1 means exact duplicates only."""

    def __init__(self, threshold: float) -> None:
        self._exact: dict[str, int] = {}
        self._near = Index(threshold) if threshold < 1 else None
        self._count = 0

    def take(self, text: str) -> Match | None:
        """The earlier text (by its number, counted from 0 over those kept) that this one repeats; None: it is new, and kept."""
        plain = normalised(text)
        if (earlier := self._exact.get(plain)) is not None:
            return Match(earlier, 1.0)
        if self._near is not None:
            found = shingles(text)
            if matches := self._near.like(found):
                return matches[0]
            self._near.add(self._count, found)
        self._exact[plain] = self._count
        self._count += 1
        return None


def clusters(texts: Iterable[frozenset[str]], threshold: float) -> list[list[int]]:
    """Numbers of the texts that hang together by pairs of at least the threshold's similarity (union-find), each list in order."""
    parents: list[int] = []

    def root(key: int) -> int:
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    index = Index(threshold)
    for key, found in enumerate(texts):
        parents.append(key)
        for match in index.like(found):
            first, second = sorted((root(match.key), root(key)))
            parents[second] = first
        index.add(key, found)
    groups: dict[int, list[int]] = {}
    for key in range(len(parents)):
        groups.setdefault(root(key), []).append(key)
    return list(groups.values())


def nearest(texts: Sequence[frozenset[str]], others: Sequence[frozenset[str]]) -> list[float]:
    """For each text the highest similarity to any of the others; exact, by the shingles they share."""
    places: dict[str, list[int]] = {}
    for key, found in enumerate(others):
        for shingle in found:
            places.setdefault(shingle, []).append(key)
    best = []
    for found in texts:
        shared: dict[int, int] = {}
        for shingle in found:
            for key in places.get(shingle, ()):
                shared[key] = shared.get(key, 0) + 1
        best.append(
            max(
                (count / (len(found) + len(others[key]) - count) for key, count in shared.items()),
                default=0.0,
            )
        )
    return best
