"""The seam for a form of file: bytes become records, in the order of the file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tunesmith.settings import Source

PATH = "spec.data.source"


@dataclass(frozen=True)
class Record:
    """What a row is made of: names with their values. `line`: where it begins, counted from 1."""

    line: int
    value: Mapping[str, Any]


@dataclass(frozen=True)
class BadLine:
    """A line that gives no row.

    `kind` is one of a few words, for counting; `why` is a sentence without its subject.
    """

    line: int
    kind: str
    why: str


class Reader(Protocol):
    """A form of file. It knows nothing of rows: what a record means is the same in every form."""

    endings: tuple[str, ...]
    """How names of such files end, in small letters."""

    def read(self, data: bytes, source: Source) -> Iterator[Record | BadLine]:
        """The records of a file, and the lines without one.

        Raises BadData if the file as a whole cannot be read.
        """
        ...
