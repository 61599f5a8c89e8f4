"""Divides rows into train, validation and test: rows that belong together land on one side. Pure."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith import settings
from tunesmith.split_sizes import split_sizes
from tunesmith_jobs.generate.clusters import groupings
from tunesmith_jobs.generate.dedupe import normalised, shingles
from tunesmith_jobs.generate.overlap import Overlaps

# How far off a split may be before smaller groups are tried: a share of the rows asked for, but at least one
# row
TOLERANCE = 0.1


@dataclass(frozen=True)
class Rows:
    """What the split looks at, each by the row's number.

    `texts`: the prompts, with the conversation before them; `marks`: what rows that belong together have in
    common, such as a conversation; `topics`: the parts hold each in the same share; empty where there are
    none; `links`: pairs that mean the same; `passages`: of documents, empty where there are none.
    """

    texts: Sequence[str]
    overlaps: Overlaps
    marks: Sequence[frozenset[str]]
    topics: Sequence[str]
    links: Sequence[tuple[int, int]] = ()
    passages: Sequence[str] = ()

    @property
    def bound(self) -> list[tuple[int, int]]:
        """Pairs that link all rows of one passage."""
        first: dict[str, int] = {}
        return [
            (first.setdefault(passage, key), key)
            for key, passage in enumerate(self.passages)
            if passage and first.setdefault(passage, key) != key
        ]


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, in order.

    `threshold`: no row of one part is this similar to a row of another; 1: nothing could be kept together.
    `template`: shingles that this leaves out, as many rows have them.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    threshold: float
    clusters: int
    template: frozenset[str] = frozenset()


def split(rows: Rows, shares: settings.Split) -> Split:
    """Divide rows. Every row is in exactly one part.

    The parts have round(share * rows) rows, or as near as whole groups allow. A share above 0 gets at least
    one of two or more rows. Rows of one passage stay together as long as the parts have at most twice the
    rows that were asked for.
    """
    count = len(rows.texts)
    wanted = targets(count, shares)
    best: Split | None = None
    least = count + 1
    links, bound = [*rows.overlaps.copies(), *rows.links], rows.bound
    tolerance = max(1.0, (1.0 if bound else TOLERANCE) * sum(wanted))
    shingled = [shingles(normalised(text)) for text in rows.texts]
    for grouping in groupings(shingled, rows.marks, links, bound):
        order = sorted(grouping.groups, key=lambda group: _place(rows.texts[group[0]], shares.seed))
        test, validation = fill(order, rows.topics, wanted, may_exceed=bool(bound))
        off = abs(len(test) - wanted[0]) + abs(len(validation) - wanted[1])
        none_is_empty = all(part or not want for part, want in zip((test, validation), wanted, strict=True))
        fits = off <= tolerance and none_is_empty
        if off < least or (bound and fits):
            least = off
            train = tuple(sorted(set(range(count)) - set(test) - set(validation)))
            best = Split(train, validation, test, grouping.threshold, len(order), grouping.template)
        if fits:
            break
    assert best is not None
    return best


def targets(rows: int, shares: settings.Split) -> tuple[int, int]:
    """Rows for test and validation; at least one stays for train."""
    return split_sizes(rows, test=shares.test, validation=shares.validation)


def _place(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "surrogatepass")).digest()


def fill(
    groups: Sequence[list[int]], topics: Sequence[str], wanted: tuple[int, int], *, may_exceed: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Test and validation: each group in the first part with room for it, and for its topic.

    Then, where parts still have room, for groups of any topic; at last one group of a part is given up for
    one of exactly the size that is missing. `may_exceed`: a part takes a group that is too large if that
    brings it nearer to its size.
    """
    parts: tuple[list[list[int]], list[list[int]]] = ([], [])
    sizes = [0, 0]
    left = list(groups)
    quotas = [quota(Counter(topics), want, len(topics)) for want in wanted]
    for by_topic in (True, False):
        remaining = []
        for group in left:
            topic = topics[group[0]]
            for part, want in enumerate(wanted):
                room = quotas[part][topic] if by_topic else want - sizes[part]
                if len(group) <= min(room, want - sizes[part]):
                    parts[part].append(group)
                    sizes[part] += len(group)
                    quotas[part][topic] -= len(group)
                    break
            else:
                remaining.append(group)
        left = remaining
    for number, want in enumerate(wanted):
        _exchange(parts[number], left, want - sizes[number])
        if may_exceed:
            _exceed(parts[number], left, want - sum(map(len, parts[number])))
    test, validation = (tuple(sorted(key for group in part for key in group)) for part in parts)
    return test, validation


def quota(topics: Counter[str], want: int, rows: int) -> defaultdict[str, int]:
    """How many of the wanted rows each topic gets: its share, by largest remainders."""
    quotas: defaultdict[str, int] = defaultdict(int)
    if not rows:
        return quotas
    for topic, count in topics.items():
        quotas[topic] = want * count // rows
    by_remainder = sorted(topics, key=lambda topic: (-(want * topics[topic] % rows), topic))
    for topic in by_remainder[: want - sum(quotas.values())]:
        quotas[topic] += 1
    return quotas


def _exchange(part: list[list[int]], left: list[list[int]], missing: int) -> None:
    """Put a larger group in the place of one of the part's, so that the part has exactly its size."""
    if missing <= 0:
        return
    larger = {len(group): group for group in reversed(left)}
    for at in reversed(range(len(part))):
        group = larger.get(len(part[at]) + missing)
        if group is not None:
            left.remove(group)
            left.append(part[at])
            part[at] = group
            return


def _exceed(part: list[list[int]], left: list[list[int]], missing: int) -> None:
    """Put the group of the nearest size into a part, as long as that brings it nearer to its size."""
    while missing > 0 and len(left) > 1:
        nearest = min(left, key=lambda group: abs(len(group) - missing))
        if abs(len(nearest) - missing) >= missing:
            return
        left.remove(nearest)
        part.append(nearest)
        missing -= len(nearest)
