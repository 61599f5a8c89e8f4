"""Rows that must not be divided: linked by their texts, their meaning, or by where they come from.

What many rows share says nothing about any two of them: it is their template. Where all links together leave
no split of the sizes asked for, what more than a tenth of the rows share is left out, and then only nearer
and nearer copies stay together.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tunesmith_jobs.generate.dedupe import Index

# Rows whose prompts are this similar stay together; the first is below that of duplicates.
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
# A shingle, a passage or a beginning that more than a tenth of the rows have, but more than three, is a
# template where one has to be found.
TEMPLATE_SHARE = 0.1
TEMPLATE_LEAST = 3


@dataclass(frozen=True)
class Grouping:
    """Groups of rows, each a list of their numbers in order.

    No row is `threshold` similar to a row of another group, by its shingles without those of `template`.
    Threshold 1: each row is a group of its own.
    """

    groups: list[list[int]]
    threshold: float
    template: frozenset[str] = frozenset()


def groupings(
    texts: Sequence[frozenset[str]],
    marks: Sequence[frozenset[str]],
    links: Iterable[tuple[int, int]],
    bound: Sequence[tuple[int, int]] = (),
) -> Iterator[Grouping]:
    """Ever smaller groups of rows, at last those that are bound together, and each by itself.

    `texts`: shingles of the prompts. `marks`: what rows have in common with others that belong to them: where
    they come from, a conversation, 10-grams. `links`: further pairs, by number; `bound`: those that stay
    together however many they are.
    """
    links = [*links, *bound]
    by_marks = list(_sharing(marks, len(texts)))
    first = _Linked(len(texts), [THRESHOLDS[0]])
    first.join_near(texts)
    yield Grouping(first.groups(0, [*by_marks, *links]), THRESHOLDS[0])
    most = max(TEMPLATE_LEAST, TEMPLATE_SHARE * len(texts))
    template = common(texts, most)
    closer = _Linked(len(texts), THRESHOLDS)
    closer.join_near([without(text, template) for text in texts])
    by_marks = list(_sharing(marks, most))
    for level, threshold in enumerate(THRESHOLDS):
        yield Grouping(closer.groups(level, [*by_marks, *links]), threshold, template)
    if bound:
        yield Grouping(_Linked(len(texts), (1.0,)).groups(0, bound), 1.0, template)
    yield Grouping([[key] for key in range(len(texts))], 1.0, template)


def without(text: frozenset[str], template: frozenset[str]) -> frozenset[str]:
    """A text without its template; the text as it is if nothing else is in it."""
    return text - template or text


def common(texts: Iterable[frozenset[str]], most: float) -> frozenset[str]:
    """What more than `most` texts have."""
    counts = Counter(part for text in texts for part in text)
    return frozenset(part for part, count in counts.items() if count > most)


def _sharing(marks: Sequence[frozenset[str]], most: float) -> Iterator[tuple[int, int]]:
    """Pairs that link all rows with one mark, for each mark that at most `most` rows have."""
    having: dict[str, list[int]] = defaultdict(list)
    for key, row in enumerate(marks):
        for mark in row:
            having[mark].append(key)
    for keys in having.values():
        if len(keys) <= most:
            yield from ((keys[0], key) for key in keys[1:])


class _Linked:
    """Rows, joined at several thresholds at once (union-find)."""

    def __init__(self, rows: int, thresholds: Sequence[float]) -> None:
        self._thresholds = thresholds
        self._parents = [list(range(rows)) for _ in thresholds]

    def join_near(self, texts: Sequence[frozenset[str]]) -> None:
        """Join texts that are similar."""
        index = Index(self._thresholds[0])
        for key, text in enumerate(texts):
            signed = index.sign(text)
            for near in index.like(signed):
                for level, threshold in enumerate(self._thresholds):
                    if near.similarity >= threshold:
                        _join(self._parents[level], near.key, key)
            index.add(key, signed)

    def groups(self, level: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
        """The groups at a threshold, with further pairs joined."""
        parents = list(self._parents[level])
        for one, other in links:
            _join(parents, one, other)
        groups: dict[int, list[int]] = {}
        for key in range(len(parents)):
            groups.setdefault(_root(parents, key), []).append(key)
        return list(groups.values())


def _root(parents: list[int], key: int) -> int:
    while parents[key] != key:
        parents[key] = parents[parents[key]]
        key = parents[key]
    return key


def _join(parents: list[int], one: int, other: int) -> None:
    first, second = sorted((_root(parents, one), _root(parents, other)))
    parents[second] = first
