"""How deep and how large a document may be, found out before anything else walks it. Pure.

The API server stores documents 10,000 levels deep where a schema leaves their content open, and neither it
nor CEL can bound that. Python's own readers and writers fail at some hundred levels.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.errors import Problem

DEEPEST = 64  # mappings and lists within each other
LARGEST = 3 * 2**20  # bytes as JSON; the API server takes no larger request
TOO_DEEP = f"is nested more than {DEEPEST} levels deep"
_FLATTER = "flatten it; in a JSON Schema, name parts in $defs and refer to them by $ref"
_SMALL = 8  # bytes that a number or a word counts, about
_LARGEST_BITS = 1023  # of a whole number that a float can still hold

Places = list[tuple[str, Any]]  # the path of each part, and the part


def problem_with(document: object) -> Problem | None:
    """What keeps a document from being read at all: its depth, its size, or something that JSON has not.

    It goes level by level. What YAML's aliases repeat counts each time, as each reader walks it each time.
    """
    level: Places = [("", document)]
    size = depth = 0
    while level:
        below: Places = []
        for path, part in level:
            if why := _no_json(part):
                return Problem(_cut(path), why, remedy="write it as a text")
            if depth == DEEPEST and isinstance(part, Mapping | list | tuple):
                return Problem(_cut(path), TOO_DEEP, remedy=_FLATTER)
            size += _size(part)
            below.extend(_members(path, part))
            if size > LARGEST:
                why = f"has more than {LARGEST:,} bytes"
                return Problem("", why, remedy="move long data to a file of its own")
        level = below
        depth += 1
    return None


def _members(path: str, part: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(part, Mapping):
        for key, member in part.items():
            yield f"{path}.{key}".lstrip("."), member
    elif isinstance(part, list | tuple):
        for number, member in enumerate(part):
            yield f"{path}[{number}]", member


def _size(part: Any) -> int:
    match part:
        case str():
            return len(part.encode("utf-8", "surrogatepass")) + 2
        case Mapping():
            return 2 + sum(len(str(key).encode("utf-8", "surrogatepass")) + 4 for key in part)
        case list() | tuple():
            return 2 + len(part)
        case _:
            return _SMALL


def _no_json(part: Any) -> str:
    """Why JSON cannot hold a part, apart from its members; empty if it can."""
    match part:
        case None | bool() | str() | list() | tuple():
            return ""
        case int():
            return "" if part.bit_length() <= _LARGEST_BITS else "is too large for a number"
        case float():
            return "" if math.isfinite(part) else "must be a finite number"
        case Mapping():
            return "" if all(isinstance(key, str) for key in part) else "has a key that is no text"
        case _:
            return f"is a {type(part).__name__}, which JSON has not"


def _cut(path: str) -> str:
    """A path of which the beginning says enough."""
    return path if len(path) <= 120 else f"{path[:119]}…"
