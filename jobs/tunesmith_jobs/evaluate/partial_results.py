"""What the models have said so far, kept in the store batch by batch, so that a restart asks for nothing twice."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.evaluate.scoring import RowLoss
from tunesmith_jobs.storage import NotFound

Which = Literal["base", "merged"]
Kind = Literal["loss", "test", "prompt"]


class Said(BaseModel):
    """One result: the loss of a test row, or the answer to a test row or to a prompt of the request, by its number."""

    model_config = ConfigDict(frozen=True)

    model: Which
    kind: Kind
    row: int
    text: str = ""
    nats: float = 0.0
    tokens: int = 0


class Kept:
    """All results of all attempts at this key; `add` stores more. The first result for a row counts."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._said: dict[tuple[Which, Kind, int], Said] = {}
        self._folder = f"{attempt.folder}/partial/"
        self._next = 0
        for entry in list(attempt.store.list(self._folder)):
            with contextlib.suppress(NotFound):  # another attempt has committed meanwhile, and cleaned up
                self._take(_read(attempt.store.read(entry.path)))

    def __len__(self) -> int:
        return len(self._said)

    def add(self, said: Iterable[Said]) -> None:
        """Keep a batch."""
        batch = list(said)
        data = "".join(one.model_dump_json(exclude_defaults=True) + "\n" for one in batch).encode()
        self._attempt.store.write(f"{self._folder}{self._attempt.id}-{self._next:05}.jsonl", data)
        self._next += 1
        self._take(batch)

    def missing(self, model: Which, kind: Kind, rows: int) -> list[int]:
        """Numbers of the rows that are still to be done."""
        return [row for row in range(rows) if (model, kind, row) not in self._said]

    def answers(self, model: Which, kind: Kind, rows: int) -> list[str]:
        """All answers, in order."""
        return [self._said[model, kind, row].text for row in range(rows)]

    def losses(self, model: Which, rows: int) -> list[RowLoss]:
        """All losses, in order."""
        found = (self._said[model, "loss", row] for row in range(rows))
        return [RowLoss(one.nats, one.tokens) for one in found]

    def _take(self, said: Iterable[Said]) -> None:
        for one in said:
            self._said.setdefault((one.model, one.kind, one.row), one)


def _read(data: bytes) -> Iterator[Said]:
    return (Said.model_validate_json(line) for line in data.split(b"\n") if line)
