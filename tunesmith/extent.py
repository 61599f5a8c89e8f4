"""How deep and how large a document may be, found out before anything else walks it. Pure.

The API server stores documents 10,000 levels deep where a schema leaves their content open, and neither it
nor CEL can bound that. Python's own readers and writers fail at some hundred levels.
"""

import math
from collections.abc import Iterable
from typing import Any

from tunesmith.errors import Problem

DEEPEST = 64  # mappings and lists within each other
LARGEST = 3 * 2**20  # bytes as JSON; the API server takes no larger request
TOO_DEEP = f"is nested more than {DEEPEST} levels deep"
FLATTER = "flatten it; in a JSON Schema, name parts in $defs and refer to them by $ref"
_TOO_LARGE = Problem("", f"has more than {LARGEST:,} bytes", remedy="move long data to a file of its own")
_SMALL = 4  # bytes that a number, a word, or what stands around a text counts
_PLAIN = (str, bool, type(None))
_LARGEST_BITS = 1023  # of a whole number that a float can still hold


def problem_with(document: object) -> Problem | None:
    """What keeps a document from being read at all: its depth, its size, or something that JSON has not.

    It goes level by level. What YAML's aliases repeat counts each time, as each reader walks it each time.
    """
    level: list[tuple[str, Any]] = [("", [document])]  # the path of each mapping and list, and what it is
    size = 0
    for depth in range(DEEPEST + 1):
        below: list[tuple[str, Any]] = []
        for path, part in level:
            for key, member in _members(part):
                size += _size(key) + _size(member)
                if isinstance(member, dict | list | tuple):
                    below.append((_path(path, key, depth), member))
                elif not isinstance(member, _PLAIN) and (why := _no_json(member)):
                    return Problem(_cut(_path(path, key, depth)), why, remedy="write it as a text")
                if not isinstance(key, str | int):
                    return Problem(_cut(path), f"has the key {key!r}, which is no text", remedy="quote it")
            if size > LARGEST:
                return _TOO_LARGE
        level = below
    return Problem(_cut(level[0][0]), TOO_DEEP, remedy=FLATTER) if level else None


def _members(part: Any) -> Iterable[tuple[Any, Any]]:
    return part.items() if isinstance(part, dict) else enumerate(part)


def _path(path: str, key: object, depth: int) -> str:
    if depth == 0:  # the document itself
        return ""
    return f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".lstrip(".")


def _size(part: Any) -> int:
    return len(part.encode("utf-8", "surrogatepass")) + _SMALL if isinstance(part, str) else _SMALL


def _no_json(part: object) -> str:
    """Why JSON cannot hold what is no text, list or mapping; empty if it can."""
    match part:
        case int():
            return "" if part.bit_length() <= _LARGEST_BITS else "is too large for a number"
        case float():
            return "" if math.isfinite(part) else "must be a finite number"
        case _:
            return f"is a {type(part).__name__}, which JSON has not"


def _cut(path: str) -> str:
    """A path of which the beginning says enough."""
    return path if len(path) <= 120 else f"{path[:119]}…"
