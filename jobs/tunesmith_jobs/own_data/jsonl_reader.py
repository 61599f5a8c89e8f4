"""JSON Lines: an object a line. Empty lines count, but hold nothing."""

import json
import re
from collections.abc import Iterator

from tunesmith.data_files import ENDINGS
from tunesmith.settings import Source
from tunesmith_jobs.own_data.decode import decode
from tunesmith_jobs.own_data.json_values import load, not_json
from tunesmith_jobs.own_data.reader import BadLine, Record, Records, SourceFile

_LINE_END = re.compile(r"\r\n|\n|\r")


class JsonLinesReader:
    """Reads JSON Lines."""

    endings: tuple[str, ...] = ENDINGS["jsonl"]
    unit = "line"

    def read(self, file: SourceFile, source: Source) -> Records:
        """The object of every line. Raises BadData if the file cannot be decoded."""
        decoded = decode(file.data, source.encoding, file.name)
        return Records("JSON Lines", _records(decoded.text), decoded.encoding)


def _records(text: str) -> Iterator[Record | BadLine]:
    # Not splitlines(): texts may hold U+2028 and its like, which JSON does not escape.
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if line.strip():
            yield _record(number, line)


def _record(number: int, line: str) -> Record | BadLine:
    try:
        value = load(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return BadLine(number, "no JSON", not_json(error))
    if not isinstance(value, dict):
        return BadLine(number, "no object", "is not a JSON object")
    return Record(number, value)


READER = JsonLinesReader()
