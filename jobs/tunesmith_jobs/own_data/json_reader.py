"""JSON that is not a line a row: an array of objects, objects one after the other over several lines, or one
object with the array in it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tunesmith.data_files import ENDINGS
from tunesmith.errors import BadData, Problem
from tunesmith.settings import Source
from tunesmith_jobs.own_data.decode import decode
from tunesmith_jobs.own_data.json_values import not_json, value_at
from tunesmith_jobs.own_data.reader import BadLine, Record, Records, SourceFile

_GAP = re.compile(r"[ \t\r\n]*")
_COMMENT = ("//", "/*", "#")
_BY_RECORDS = "write it with an object a row: in pandas to_json(orient='records', lines=True)"
_CONVERSATIONS = ("messages", "conversations", "conversation")
Placed = tuple[int, Any]  # where a value begins, and the value


class JsonReader:
    """Reads a JSON document."""

    endings: tuple[str, ...] = ENDINGS["json"]
    unit = "line"

    def read(self, file: SourceFile, source: Source) -> Records:
        """The objects of a document. Raises BadData if it is not JSON to its end."""
        decoded = decode(file.data, source.encoding, file.name)
        text = decoded.text
        start = _skip(text, 0)
        if text.startswith("[", start):
            return Records("JSON array", _records(text, _elements(text, start, file.name)), decoded.encoding)
        found = list(_values(text, file.name))
        if len(found) != 1 or not isinstance(found[0][1], dict):
            return Records("JSON objects", _records(text, iter(found)), decoded.encoding)
        only = found[0][1]
        if not any(name in only for name in (*_CONVERSATIONS, source.fields.messages)):
            rows = [name for name, value in only.items() if _is_rows(value)]
            if len(rows) == 1:
                inside = ((found[0][0], value) for value in only[rows[0]])
                note = f"the rows are in its member {rows[0]!r}"
                return Records("JSON object", _records(text, inside), decoded.encoding, notes=(note,))
            if len(only) > 1 and all(isinstance(value, dict | list) for value in only.values()):
                why = "is one object with a list or an object for each column, not an object for each row"
                problem = Problem(file.name, why, list(only))
                raise BadData(
                    f"{file.name} cannot be read", reason="BadRows", problems=[problem], remedy=_BY_RECORDS
                )
        return Records("JSON object", _records(text, iter(found)), decoded.encoding)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(element, dict) for element in value)


def _records(text: str, found: Iterator[Placed]) -> Iterator[Record | BadLine]:
    line, counted = 1, 0
    for start, value in found:
        line += _lines(text, counted, start)
        counted = start
        if isinstance(value, dict):
            yield Record(line, value)
        else:
            yield BadLine(line, "no object", "is not a JSON object")


def _lines(text: str, start: int, end: int) -> int:
    """Line ends in a part of a text; those of old Macs are a lone \\r."""
    return text.count("\n", start, end) or text.count("\r", start, end)


def _skip(text: str, start: int) -> int:
    gap = _GAP.match(text, start)
    return gap.end() if gap else start


def _elements(text: str, start: int, name: str) -> Iterator[Placed]:
    """The elements of the array that begins at a place."""
    at = _skip(text, start + 1)
    while not text.startswith("]", at):
        value, end = _value(text, at, name)
        yield at, value
        at = _skip(text, end)
        if text.startswith(",", at):
            at = _skip(text, at + 1)
            if text.startswith("]", at):
                raise _unreadable(text, at, name, "a comma before the array's end")
        elif not text.startswith("]", at):
            raise _unreadable(text, at, name, "a comma or the array's end is missing")
    end = _skip(text, at + 1)
    if end < len(text):
        raise _unreadable(text, end, name, "something follows the array's end")


def _values(text: str, name: str) -> Iterator[Placed]:
    at = _skip(text, 0)
    while at < len(text):
        value, end = _value(text, at, name)
        yield at, value
        at = _skip(text, end)


def _value(text: str, at: int, name: str) -> Placed:
    if text.startswith(_COMMENT, at):
        raise _unreadable(text, at, name, "JSON has no comments")
    try:
        value, end = value_at(text, at)
    except (json.JSONDecodeError, RecursionError) as error:
        where = error.pos if isinstance(error, json.JSONDecodeError) else at
        comment = text.startswith(_COMMENT, _skip(text, where))
        raise _unreadable(
            text, where, name, "JSON has no comments" if comment else not_json(error)
        ) from error
    return value, end


def _unreadable(text: str, at: int, name: str, why: str) -> BadData:
    line = 1 + _lines(text, 0, at)
    problem = Problem(f"{name}, line {line}", why if why.startswith("is ") else f"is not JSON: {why}")
    return BadData(f"{name} cannot be read", reason="BadRows", problems=[problem], remedy="correct the file")


READER = JsonReader()
