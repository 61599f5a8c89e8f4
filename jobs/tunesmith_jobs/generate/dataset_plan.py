"""The plan of a dataset, and its cells: what each example shall be about.

Every axis is drawn in rounds, and each round is a permutation of its values. So any first n cells hold each
value floor or ceil of n / values times (the balance of a Latin hypercube), and cell i depends on plan, seed
and i alone: neither on how many cells follow nor on the order in which they are answered.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field


class Axis(BaseModel):
    """A way in which prompts differ, and the values it takes."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(min_length=1)
    values: tuple[str, ...] = Field(min_length=2)


class DatasetPlan(BaseModel):
    """How a dataset is spread: made once by the teacher, before any pair."""

    model_config = ConfigDict(frozen=True)

    language: str = ""
    prompts: str = Field(min_length=1)
    responses: str = Field(min_length=1)
    topics: tuple[str, ...] = Field(min_length=1)
    axes: tuple[Axis, ...] = ()
    difficulties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """What one call asks for. `values`: (axis, value)."""

    index: int
    topic: str
    values: tuple[tuple[str, str], ...]
    difficulty: str


def cell_at(dataset_plan: DatasetPlan, seed: int, index: int) -> Cell:
    """Cell number `index`."""
    difficulties = dataset_plan.difficulties
    return Cell(
        index=index,
        topic=_draw(dataset_plan.topics, seed, "topic", index),
        values=tuple(
            (axis.name, _draw(axis.values, seed, f"axis {axis.name}", index)) for axis in dataset_plan.axes
        ),
        difficulty=_draw(difficulties, seed, "difficulty", index) if difficulties else "",
    )


def seed_of(*parts: object) -> int:
    """A seed from its parts, the same on every machine."""
    return int.from_bytes(hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()[:8], "big")


def _draw(values: Sequence[str], seed: int, name: str, index: int) -> str:
    turn, place = divmod(index, len(values))
    order = list(values)
    random.Random(seed_of(seed, name, turn)).shuffle(order)
    return order[place]
