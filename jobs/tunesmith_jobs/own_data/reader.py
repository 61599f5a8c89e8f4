"""The seam for a form of file: bytes become records, in the order of the file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tunesmith.data_files import OWN_DATA
from tunesmith.settings import Source

PATH = OWN_DATA.path


@dataclass(frozen=True)
class SourceFile:
    """A file of a source. `name`: how messages call it; `data`: its bytes, unpacked."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Record:
    """What a row is made of: names with their values.

    `line`: where it begins, counted from 1; in a form without lines, which record of the file it is.
    """

    line: int
    value: Mapping[str, Any]


@dataclass(frozen=True)
class BadLine:
    """A line that gives no row.

    `kind` is one of a few words, for counting; `why` is a sentence without its subject. `file`: the file's
    name, where a source has several; `unit`: what `line` counts.
    """

    line: int
    kind: str
    why: str
    file: str = ""
    unit: str = "line"


@dataclass(frozen=True)
class Records:
    """What a reader found in a file.

    `form`: in words, such as `CSV with ;`; `encoding`: of its text, with how it was told; empty if the form
    says so itself. `columns`: names that every record has, where the form says them at its beginning.
    `notes`: what else people should know of how the file was read.
    """

    form: str
    records: Iterable[Record | BadLine]
    encoding: str = ""
    columns: tuple[str, ...] | None = None
    notes: tuple[str, ...] = field(default=())


class Numeral(str):
    """A number of a JSON file, as it is written there: 4.50 stays 4.50 where it becomes a text."""

    __slots__ = ()


class Reader(Protocol):
    """A form of file. It knows nothing of rows: what a record means is the same in every form."""

    endings: tuple[str, ...]
    """How names of such files end, in small letters."""
    unit: str
    """What is counted: line or row."""

    def read(self, file: SourceFile, source: Source) -> Records:
        """The records of a file, and the lines without one.

        Raises BadData if the file as a whole cannot be read, at once or while records are taken.
        """
        ...
