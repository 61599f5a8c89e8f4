"""Results of both models, kept in the store batch by batch, so that a restart computes nothing twice."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.row_loss import RowLoss
from tunesmith_jobs.storage import NotFound

ModelName = Literal["base", "merged"]
Kind = Literal["loss", "test", "prompt"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class PartialResult(BaseModel):
    """One result of one model, as a line of a file.

    It is the loss of a test row, or the answer to a test row or to a prompt of the request, by its index.
    """

    model_config = ConfigDict(frozen=True)

    model: ModelName
    kind: Kind
    row: int
    text: str = ""
    nats: float = 0.0
    tokens: int = 0


class PartialResults:
    """All results of all attempts at this key; `add` stores more. The first result for a row counts."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._results: dict[tuple[ModelName, Kind, int], PartialResult] = {}
        self._folder = f"{attempt.folder}/partial/"
        self._next_file = 0
        for entry in list(attempt.store.list(self._folder)):
            with contextlib.suppress(NotFound):  # another attempt has committed meanwhile, and cleaned up
                self._take(_read(attempt.store.read(entry.path)))

    def __len__(self) -> int:
        return len(self._results)

    def add(self, batch: list[PartialResult]) -> None:
        """Store a batch."""
        lines = (result.model_dump_json(exclude_defaults=True) for result in batch)
        data = "".join(f"{line}\n" for line in lines).encode()
        self._attempt.store.write(f"{self._folder}{self._attempt.id}-{self._next_file:05}.jsonl", data)
        self._next_file += 1
        self._take(batch)

    def missing(self, model: ModelName, kind: Kind, rows: int) -> list[int]:
        """Indices of the rows that are still to be done."""
        return [row for row in range(rows) if (model, kind, row) not in self._results]

    def answers(self, model: ModelName, kind: Kind, rows: int) -> list[str]:
        """All answers, in order."""
        return [self._results[model, kind, row].text for row in range(rows)]

    def losses(self, model: ModelName, rows: int) -> list[RowLoss]:
        """All losses, in order."""
        results = [self._results[model, "loss", row] for row in range(rows)]
        return [RowLoss(result.nats, result.tokens) for result in results]

    def _take(self, batch: Iterable[PartialResult]) -> None:
        for result in batch:
            self._results.setdefault((result.model, result.kind, result.row), result)


def _read(data: bytes) -> Iterator[PartialResult]:
    return (PartialResult.model_validate_json(line) for line in data.split(b"\n") if line)
