"""What a run knows of its batches, so that none is made twice: three small objects each, never changed.

`<run>/generate/batches/<number>-asked.json` is stored before a batch is made: its mark, by which it is found
at the endpoint, and what each line asks. `-made.json` has its name there, `-read.json` what became of it,
once all its answers are in the journal. Numbers are given by a conditional write, so two processes never make
the same batch.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tunesmith_jobs.storage import NotFound, Store

_NAME = re.compile(r"/(\d{6})-(asked|made|read)\.json$")


@dataclass(frozen=True)
class AskedLine:
    """What a line of a batch asks, as the journal names it.

    `allowed`: the most tokens of its answer; `text_tokens`: an estimate of what is asked.
    """

    key: str
    model: str
    cell: int
    sample: int
    allowed: int
    text_tokens: int


@dataclass(frozen=True)
class Record:
    """A batch that was, or was to be, made.

    `mark`: tells it from all others; `sha256`: of its file; `at`: Unix time; `url`: of the endpoint.
    """

    number: int
    mark: str
    sha256: str
    at: float
    url: str
    lines: tuple[AskedLine, ...]


def batches_folder(run: str) -> str:
    """Where a run's batches are written down."""
    return f"{run}/generate/batches"


class Records:
    """The batches of a run. Everything here asks the store."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._folder = batches_folder(run)

    def unread(self) -> list[Record]:
        """The batches whose answers are not all in the journal yet."""
        known = self._known()
        numbers = sorted(known.get("asked", set()) - known.get("read", set()))
        records = [self._record(number) for number in numbers]
        return [record for record in records if record is not None]

    def add(self, mark: str, sha256: str, at: float, url: str, lines: Sequence[AskedLine]) -> Record | None:
        """Write down a batch that is about to be made; None if another process has just done the same."""
        number = max(self._known().get("asked", set()), default=0) + 1
        record = Record(number, mark, sha256, at, url, tuple(lines))
        document = {**asdict(record), "lines": [list(asdict(line).values()) for line in lines]}
        return record if self._store.create(self._path(number, "asked"), _bytes(document)) else None

    def made(self, record: Record, name: str) -> None:
        """Write down the name that the endpoint has given to a batch."""
        self._store.create(self._path(record.number, "made"), _bytes({"batch": name}))

    def name_of(self, record: Record) -> str:
        """That name; empty if it was never written down."""
        try:
            return str(json.loads(self._store.read(self._path(record.number, "made")))["batch"])
        except (NotFound, ValueError, KeyError):
            return ""

    def read(self, record: Record, outcome: str) -> None:
        """Write down that nothing more is to be had of a batch, and what became of it."""
        self._store.create(self._path(record.number, "read"), _bytes({"outcome": outcome}))

    def _record(self, number: int) -> Record | None:
        try:
            document = json.loads(self._store.read(self._path(number, "asked")))
            lines = tuple(AskedLine(*values) for values in document.pop("lines"))
            return Record(**document, lines=lines)
        except (NotFound, ValueError, KeyError, TypeError):  # the run was deleted; a foreign object
            return None

    def _known(self) -> dict[str, set[int]]:
        """The numbers that there are, by the kind of object."""
        known: dict[str, set[int]] = {}
        for entry in self._store.list(f"{self._folder}/"):
            if match := _NAME.search(entry.path):
                known.setdefault(match[2], set()).add(int(match[1]))
        return known

    def _path(self, number: int, kind: str) -> str:
        return f"{self._folder}/{number:06d}-{kind}.json"


def _bytes(document: object) -> bytes:
    return (json.dumps(document, ensure_ascii=False) + "\n").encode()
