"""Divides rows into train, validation and test, so that no near-copy of a test row is in train. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith import settings
from tunesmith.split_sizes import split_sizes
from tunesmith_jobs.generate.dedupe import clusters, shingles

# Rows that are this similar stay together. The first threshold is below that of duplicates; the next ones
# are tried if it leaves a single lump, as rows of one template do.
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# How far off a split may be before the next threshold is tried: a share of the rows asked for, but at least
# one row
TOLERANCE = 0.1


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, in order.

    `threshold`: no row of one part is this similar to a row of another.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    threshold: float
    clusters: int


def split(texts: Sequence[str], shares: settings.Split) -> Split:
    """Divide rows by the texts that must not leak. Every row is in exactly one part.

    The parts have round(share * rows) rows, or as near as whole clusters allow. A share above 0 gets at
    least one of two or more rows.
    """
    shingled = [shingles(text) for text in texts]
    wanted = targets(len(texts), shares)
    best: Split | None = None
    least = len(texts) + 1
    for threshold in THRESHOLDS:
        groups = clusters(shingled, threshold) if threshold < 1 else [[key] for key in range(len(texts))]
        parts = _fill(groups, texts, wanted, shares.seed)
        off = abs(len(parts[0]) - wanted[0]) + abs(len(parts[1]) - wanted[1])
        if off < least:
            least = off
            train = tuple(sorted(set(range(len(texts))) - set(parts[0]) - set(parts[1])))
            best = Split(train, parts[1], parts[0], threshold, len(groups))
        none_is_empty = all(part or not want for part, want in zip(parts, wanted, strict=True))
        if off <= max(1.0, TOLERANCE * sum(wanted)) and none_is_empty:
            break
    assert best is not None
    return best


def targets(rows: int, shares: settings.Split) -> tuple[int, int]:
    """Rows for test and validation; at least one stays for train."""
    return split_sizes(rows, test=shares.test, validation=shares.validation)


def _fill(
    groups: list[list[int]], texts: Sequence[str], wanted: tuple[int, int], seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Test and validation: groups in the order of their hashes, each in the first part with room for it."""

    def place(group: list[int]) -> bytes:
        return hashlib.sha256(f"{seed}\0{texts[group[0]]}".encode()).digest()

    taken: tuple[list[int], list[int]] = ([], [])
    for group in sorted(groups, key=place):
        for part, want in zip(taken, wanted, strict=True):
            if len(part) + len(group) <= want:
                part.extend(group)
                break
    return tuple(sorted(taken[0])), tuple(sorted(taken[1]))
