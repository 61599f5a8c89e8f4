"""JSON Lines: an object a line. Empty lines count, but hold nothing."""

import json
from collections.abc import Iterator

from tunesmith.settings import Source
from tunesmith_jobs.own_data.decode import decode
from tunesmith_jobs.own_data.reader import BadLine, Record


class JsonLinesReader:
    """Reads JSON Lines."""

    endings: tuple[str, ...] = (".jsonl", ".ndjson", ".json")

    def read(self, data: bytes, source: Source) -> Iterator[Record | BadLine]:
        """The object of every line. Raises BadData if the file cannot be decoded."""
        text = decode(data, source.encoding, source.uri)
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield _record(number, line)


def _record(number: int, line: str) -> Record | BadLine:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return BadLine(number, "no JSON", f"is not JSON: {error}")
    if not isinstance(value, dict):
        return BadLine(number, "no object", "is not a JSON object")
    return Record(number, value)


READER = JsonLinesReader()
