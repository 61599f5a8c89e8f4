"""CSV with a header; the delimiter is the one that the header has most of. A cell may hold line ends."""

import csv
import io
from collections.abc import Iterator, Sequence

from tunesmith.errors import BadData, Problem
from tunesmith.settings import Source
from tunesmith_jobs.own_data.decode import decode
from tunesmith_jobs.own_data.reader import PATH, BadLine, Record


class CsvReader:
    """Reads CSV."""

    endings: tuple[str, ...] = (".csv", ".tsv")

    def read(self, data: bytes, source: Source) -> Iterator[Record | BadLine]:
        """A record for each row below the header.

        Raises BadData for lacking columns and for a file that is not CSV.
        """
        text = decode(data, source.encoding, source.uri)
        header = text.split("\n", 1)[0]
        delimiter = max(",;\t|", key=header.count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        _check_columns(list(reader.fieldnames or ()), source)
        line = 1
        try:
            for row in reader:
                begin, line = line + 1, reader.line_num
                yield Record(begin, {name: value for name, value in row.items() if name is not None})
        except csv.Error as error:
            problem = Problem(f"{source.uri}, line {reader.line_num}", f"is not CSV: {error}")
            raise BadData(f"{source.uri} cannot be read", reason="BadRows", problems=[problem]) from error


def _check_columns(columns: Sequence[str], source: Source) -> None:
    wanted = (source.fields.prompt, source.fields.response)
    lacking = [repr(name) for name in wanted if name not in columns]
    if lacking:
        problem = Problem(
            f"{PATH}.fields",
            f"no column {' and no column '.join(lacking)}",
            list(columns),
            "set data.source.fields",
        )
        raise BadData(f"{source.uri} lacks columns", reason="BadColumns", problems=[problem])


READER = CsvReader()
