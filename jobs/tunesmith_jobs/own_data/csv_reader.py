"""CSV with a header, and its like with tabs or semicolons. A cell may hold line ends.

The delimiter is the one that divides the header, and then the rows, into most columns of one number. Excel's
`sep=;` in a first line says it.
"""

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from tunesmith.data_files import ENDINGS
from tunesmith.errors import BadData, Problem
from tunesmith.settings import Source
from tunesmith_jobs.own_data.decode import decode
from tunesmith_jobs.own_data.reader import BadLine, Record, Records, SourceFile

_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {"\t": "tabs"}
_LOOKED_AT = 100  # rows by which a delimiter is told
_LONGEST = 2**31 - 1  # characters of a cell; Python's own limit is 131,072


class CsvReader:
    """Reads CSV."""

    endings: tuple[str, ...] = ENDINGS["csv"]
    unit = "line"

    def read(self, file: SourceFile, source: Source) -> Records:
        """A record for each row below the header. Raises BadData for a quote that never ends."""
        decoded = decode(file.data, source.encoding, file.name)
        csv.field_size_limit(_LONGEST)
        text, said, before = _without_sep(decoded.text)
        delimiter = said or delimiter_of(text)
        form = "TSV" if delimiter == "\t" else f"CSV with {delimiter!r}"
        rows = _rows(text, delimiter, before, file.name)
        header = next((row for row in rows if isinstance(row, Record)), None)
        if header is None:
            return Records(form, (), decoded.encoding)
        columns = [shown(name) for name in header.value["cells"]]
        twice = [name for name, count in Counter(columns).items() if count > 1 and name]
        notes = (f"columns of the same name, of which the first counts: {', '.join(map(repr, twice))}",)
        return Records(
            form, _records(columns, rows), decoded.encoding, tuple(columns), notes if twice else ()
        )


def shown(name: str) -> str:
    """The name of a column without blanks around it, and with bytes that are no text as \\xNN."""
    return name.strip().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def delimiter_of(text: str) -> str:
    """The delimiter of a text: see the module's docstring. A comma if none divides anything."""

    def divides(delimiter: str) -> tuple[bool, int]:
        try:
            looked = list(itertools.islice(_cells(text, delimiter), _LOOKED_AT))
        except csv.Error:
            return False, 0
        widths = Counter(len(cells) for cells in looked if cells)
        columns = len(looked[0]) if looked else 0
        usual = widths.most_common(1)[0][0] if widths else 0
        return columns == usual and columns > 1, columns

    return max(_DELIMITERS, key=divides)


def _without_sep(text: str) -> tuple[str, str, int]:
    """The text without Excel's line `sep=;`, the delimiter that it names, and the lines left out."""
    first = text.split("\n", 1)[0].split("\r", 1)[0]
    said = first.strip('"')
    if len(said) == 5 and said.lower().startswith("sep="):
        rest = text[len(first) :]
        rest = rest[2:] if rest.startswith("\r\n") else rest[1:]
        return rest, said[4], 1
    return text, "", 0


def _cells(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _rows(text: str, delimiter: str, before: int, name: str) -> Iterator[Record | BadLine]:
    """The cells of every row that has any, the header's first. `before`: lines that were left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        begin = before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                problem = Problem(f"{name}, line {begin}", "is not CSV: a quote that begins here never ends")
                raise BadData(f"{name} cannot be read", reason="BadRows", problems=[problem]) from error
            yield BadLine(begin, "no CSV", f"is not CSV: {error}")
            continue
        if cells:
            yield Record(begin, {"cells": cells})


def _records(columns: Sequence[str], rows: Iterator[Record | BadLine]) -> Iterator[Record | BadLine]:
    for row in rows:
        if isinstance(row, BadLine):
            yield row
            continue
        cells: list[str] = row.value["cells"]
        if not any(cells[len(columns) :]):
            named = dict(reversed(list(zip(columns, cells, strict=False))))  # the first of a name counts
            yield Record(row.line, {name: named[name] for name in columns if name in named})
        else:
            yield BadLine(
                row.line,
                "too many cells",
                f"has {len(cells)} cells, and the header {len(columns)}: quote a cell that has the delimiter",
            )


READER = CsvReader()
