"""Rows that repeat an earlier one, on three levels, cheapest first: exact, near (MinHash), in meaning. Pure.

A row is compared with the kept ones only, in the order in which rows come, so the first of a kind stays,
whatever comes after it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from tunesmith_jobs.generate.dedupe import Index, normalised, shingles
from tunesmith_jobs.generate.meaning import Meanings, meaning_of

Level = Literal["duplicate", "nearDuplicate", "semanticDuplicate"]
"""How a row repeats another: the same text but for case, blanks and the like; nearly the same words; the same
meaning in other words.
"""
CLUSTERS = 10  # clusters of duplicates that the report shows
EXAMPLES = 3  # dropped rows that it shows of each


@dataclass(frozen=True)
class Match:
    """An earlier text, by its number, by which level it is repeated, and how similar it is: 1 if equal."""

    key: int
    level: Level
    similarity: float


class Duplicates:
    """Takes texts in order and says which repeat an earlier one.

    `near`: least Jaccard similarity of 3-shingles, `semantic`: least cosine of meanings; 1: this level is not
    looked at.
    """

    def __init__(self, near: float, semantic: float = 1.0) -> None:
        self._exact: dict[tuple[str, str], int] = {}
        self._groups: dict[str, _Group] = defaultdict(lambda: _Group(near, semantic))
        self._count = 0

    def take(self, text: str, within: str = "") -> Match | None:
        """The earlier text that this one repeats; None if it is new, and then it is kept.

        `within`: only texts with the same are compared. Numbers count the kept texts from 0.
        """
        plain = normalised(text)
        earlier = self._exact.get((within, plain))
        if earlier is not None:
            return Match(earlier, "duplicate", 1.0)
        match = self._groups[within].take(self._count, text, plain)
        if match is None:
            self._exact[within, plain] = self._count
            self._count += 1
        return match


class _Group:
    """Texts that may repeat each other: indexes of the levels beyond exact."""

    def __init__(self, near: float, semantic: float) -> None:
        self._near = Index(near) if near < 1 else None
        self._meanings = Meanings(semantic) if semantic < 1 else None

    def take(self, key: int, text: str, plain: str) -> Match | None:
        signed = meant = None
        if self._near is not None:
            signed = self._near.sign(shingles(plain))
            if near := self._near.like(signed):
                return Match(near[0].key, "nearDuplicate", near[0].similarity)
        if self._meanings is not None and (meant := meaning_of(text)) is not None:
            if found := self._meanings.like(meant):
                return Match(found[0], "semanticDuplicate", found[1])
            self._meanings.add(key, meant)
        if self._near is not None and signed is not None:
            self._near.add(key, signed)
        return None


@dataclass(frozen=True)
class Dropped:
    """A row that was dropped as a duplicate: which, of which, by which level, how similar.

    `answers_otherwise`: its response is not that of the row that it repeats.
    """

    id: str
    like: str
    level: Level
    similarity: float
    prompt: str
    answers_otherwise: bool


def clusters_of(dropped: Iterable[Dropped], prompts: dict[str, str]) -> dict[str, JsonValue]:
    """Kept rows with those that repeat them, for the report; the largest first, then in order.

    `prompts`: of the kept rows, by id.
    """
    groups: dict[str, list[Dropped]] = defaultdict(list)
    for row in dropped:
        groups[row.like].append(row)
    largest = sorted(groups.items(), key=lambda item: -len(item[1]))[:CLUSTERS]
    return {
        "clusters": len(groups),
        "largest": [
            {
                "id": like,
                "prompt": prompts[like],
                "dropped": len(rows),
                "examples": [
                    {"id": row.id, "reason": row.level, "similarity": row.similarity, "prompt": row.prompt}
                    for row in rows[:EXAMPLES]
                ],
            }
            for like, rows in largest
        ],
    }
