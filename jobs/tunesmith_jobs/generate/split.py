"""Rows -> train, validation, test, so that no near-copy of a test row is in train. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.settings import Split as Shares
from tunesmith_jobs.generate.dedupe import clusters, shingles

# Rows this similar stay together. Looser than what counts as a duplicate; less loose where that leaves one lump (rows of one template).
LOOSENESS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TOLERANCE = (
    0.1  # of the rows asked for, but at least one, that a split may be off before the next looseness is tried
)


@dataclass(frozen=True)
class Split:
    """Row numbers of each part, in order. `threshold`: no row of one part is this similar to a row of another."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    threshold: float
    clusters: int


def split(texts: Sequence[str], shares: Shares) -> Split:
    """Divide rows by the texts that must not leak. Every row is in exactly one part.

    The parts have round(share * rows) rows, or as near as whole clusters allow; a share above 0 gets at least one of two or more rows.
    """
    found = [shingles(text) for text in texts]
    wanted = targets(len(texts), shares)
    best: Split | None = None
    least = len(texts) + 1
    for threshold in LOOSENESS:
        groups = clusters(found, threshold) if threshold < 1 else [[key] for key in range(len(texts))]
        parts = _fill(groups, texts, wanted, shares.seed)
        off = abs(len(parts[0]) - wanted[0]) + abs(len(parts[1]) - wanted[1])
        if off < least:
            least = off
            train = tuple(sorted(set(range(len(texts))) - set(parts[0]) - set(parts[1])))
            best = Split(train, parts[1], parts[0], threshold, len(groups))
        if off <= max(1.0, TOLERANCE * sum(wanted)) and all(
            part or not want for part, want in zip(parts, wanted, strict=True)
        ):
            break
    assert best is not None
    return best


def targets(rows: int, shares: Shares) -> tuple[int, int]:
    """Rows for test and validation; at least one stays for train."""
    test = _share(rows, shares.test)
    validation = min(_share(rows, shares.validation), max(0, rows - test - 1))
    return test, validation


def _share(rows: int, share: float) -> int:
    return 0 if share == 0 or rows < 2 else min(rows - 1, max(1, round(share * rows)))


def _fill(
    groups: list[list[int]], texts: Sequence[str], wanted: tuple[int, int], seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Test and validation: groups in the order of their hashes, each taken where it still fits."""

    def place(group: list[int]) -> bytes:
        return hashlib.sha256(f"{seed}\0{texts[group[0]]}".encode()).digest()

    taken: tuple[list[int], list[int]] = ([], [])
    for group in sorted(groups, key=place):
        for part, want in zip(taken, wanted, strict=True):
            if len(part) + len(group) <= want:
                part.extend(group)
                break
    return tuple(sorted(taken[0])), tuple(sorted(taken[1]))
