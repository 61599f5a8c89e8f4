"""The plan of a dataset, and its cells: what each example shall be about.

Every axis is drawn in rounds, and each round is a permutation of its values. So any first n cells hold each
value floor or ceil of n / values times (the balance of a Latin hypercube), and cell i depends on plan, seed
and i alone: neither on how many cells follow nor on the order in which they are answered.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict

from tunesmith.settings import Axis, Plan
from tunesmith_jobs.documents.passages import Passage

__all__ = ["Axis", "Cell", "DatasetPlan", "cell_at", "seed_of"]


class DatasetPlan(Plan):
    """A plan as a teacher writes it: members that are not known are left out."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


Rewriting = Literal["", "deepen", "constrain", "concretise"]
REWRITINGS: tuple[Rewriting, ...] = ("deepen", "constrain", "concretise")


@dataclass(frozen=True)
class Cell:
    """What one call asks for. `values`: (axis, value). `rewriting`: how its pair is made harder, if it is.

    `passage`: of the user's documents, in place of a topic.
    """

    index: int
    topic: str
    values: tuple[tuple[str, str], ...]
    difficulty: str
    persona: str = ""
    rewriting: Rewriting = ""
    passage: Passage | None = None


def cell_at(dataset_plan: DatasetPlan, seed: int, index: int, *, evolve: float = 0.0) -> Cell:
    """Cell number `index`. `evolve`: the share of cells whose pair is made harder."""
    difficulties, personas = dataset_plan.difficulties, dataset_plan.personas
    return Cell(
        index=index,
        topic=_draw(dataset_plan.topics, seed, "topic", index),
        values=tuple(
            (axis.name, _draw(axis.values, seed, f"axis {axis.name}", index)) for axis in dataset_plan.axes
        ),
        difficulty=_draw(difficulties, seed, "difficulty", index) if difficulties else "",
        persona=_draw(personas, seed, "persona", index) if personas else "",
        rewriting=_rewriting(seed, index, evolve),
    )


def seed_of(*parts: object) -> int:
    """A seed from its parts, the same on every machine."""
    return int.from_bytes(hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()[:8], "big")


def _rewriting(seed: int, index: int, share: float) -> Rewriting:
    draw = random.Random(seed_of(seed, "evolve", index))
    return draw.choice(REWRITINGS) if draw.random() < share else ""


def _draw(values: Sequence[str], seed: int, name: str, index: int) -> str:
    turn, place = divmod(index, len(values))
    order = list(values)
    random.Random(seed_of(seed, name, turn)).shuffle(order)
    return order[place]
