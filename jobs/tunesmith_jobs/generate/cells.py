"""A plan -> cells: what each example shall be about.

Every axis is drawn in rounds, each round a permutation of its values. So any first n cells hold each value floor or ceil of n / values
times (the balance of a Latin hypercube), and cell i depends on plan, seed and i alone, neither on how many follow nor on who comes first.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith_jobs.generate.parse import Plan


@dataclass(frozen=True)
class Cell:
    """What one call asks for. `values`: (axis, value)."""

    index: int
    topic: str
    values: tuple[tuple[str, str], ...]
    difficulty: str


def cell_at(plan: Plan, seed: int, index: int) -> Cell:
    """Cell number `index`."""
    return Cell(
        index=index,
        topic=_draw(plan.topics, seed, "topic", index),
        values=tuple((axis.name, _draw(axis.values, seed, f"axis {axis.name}", index)) for axis in plan.axes),
        difficulty=_draw(plan.difficulties, seed, "difficulty", index) if plan.difficulties else "",
    )


def _draw(values: Sequence[str], seed: int, name: str, index: int) -> str:
    number, place = divmod(index, len(values))
    order = list(values)
    random.Random(seed_of(seed, name, number)).shuffle(order)
    return order[place]


def seed_of(*parts: object) -> int:
    """A seed from its parts, the same on every machine."""
    return int.from_bytes(hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()[:8], "big")
