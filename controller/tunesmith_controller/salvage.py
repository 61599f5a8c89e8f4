"""What can be read of an answer of which a part cannot. Pure.

The API server takes objects that are nested 10,000 deep, Python's parser ends at 1,000, and one such object
would take its whole list with it. Asking for metadata only is no way out, as `managedFields` repeats the
nesting. So the text is taken apart without recursion: what can be read is kept, and the object's member
UNREADABLE says what cannot, by path.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tunesmith_controller.decide.objects import UNREADABLE

LEVELS = 4  # members down to which a part that cannot be read is named: spec.evaluation.format.jsonSchema
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{},]', re.DOTALL)
_MEMBER = re.compile(rb'\s*("[^"\\]*(?:\\.[^"\\]*)*")\s*:', re.DOTALL)
_UNREAD = ("metadata.managedFields",)  # what nobody here reads
_TOO_DEEP = "is nested too deep to be read"
_NOT_JSON = "is not valid JSON"


def read_item(text: bytes) -> dict[str, Any]:
    """An object. Raises ValueError if none of it can be read."""
    try:
        whole: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        left_out: dict[str, str] = {}
        item = {name: _read(part, name, left_out, LEVELS - 1) for name, part in _members(text)}
        read = {name: value for name, value in item.items() if value is not _NOTHING}
        lost = {path: why for path, why in left_out.items() if not path.startswith(_UNREAD)}
        return read | ({UNREADABLE: lost} if lost else {})
    return whole


def read_page(text: bytes) -> dict[str, Any]:
    """A page of a list, each of its items by itself. Raises ValueError if it is not one."""
    try:
        whole: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        members = dict(_members(text))
        items = [read_item(part) for part in _parts(members.pop("items", b"[]"))]
        return {name: json.loads(part) for name, part in members.items()} | {"items": items}
    return whole


def read_event(line: bytes) -> dict[str, Any]:
    """A line of a watch. Raises ValueError if it is not one."""
    try:
        whole: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        members = dict(_members(line))
        if not members.keys() >= {"type", "object"}:
            raise ValueError("not an event") from None
        return {"type": json.loads(members["type"]), "object": read_item(members["object"])}
    return whole


_NOTHING = object()


def _read(text: bytes, path: str, left_out: dict[str, str], levels: int) -> Any:
    """A value without its parts that cannot be read, which are added to `left_out`; _NOTHING if it is one."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        why = _TOO_DEEP if isinstance(error, RecursionError) else _NOT_JSON
    try:
        if levels > 0 and text.lstrip()[:1] == b"{":
            inner = {
                name: _read(part, f"{path}.{name}", left_out, levels - 1) for name, part in _members(text)
            }
            return {name: value for name, value in inner.items() if value is not _NOTHING}
        if levels > 0 and text.lstrip()[:1] == b"[":
            each = [
                _read(part, f"{path}[{place}]", left_out, levels - 1)
                for place, part in enumerate(_parts(text))
            ]
            return [value for value in each if value is not _NOTHING]
    except ValueError:
        why = _NOT_JSON
    left_out[path] = why
    return _NOTHING


def _members(text: bytes) -> Iterator[tuple[str, bytes]]:
    """The members of an object, each with the text of its value. Raises ValueError if it is not an object."""
    if text.lstrip()[:1] != b"{":
        raise ValueError("not an object")
    for part in _parts(text):
        name = _MEMBER.match(part)
        if name is None:
            raise ValueError("a member without a name")
        yield json.loads(name[1]), part[name.end() :]


def _parts(text: bytes) -> Iterator[bytes]:
    """What stands between the commas of an object or a list. Raises ValueError if its end is missing."""
    depth = begin = 0
    for token in _TOKEN.finditer(text):
        match text[token.start() : token.start() + 1]:
            case b"{" | b"[":
                depth += 1
                begin = token.end() if depth == 1 else begin
            case b"}" | b"]":
                depth -= 1
                if depth == 0:
                    if text[begin : token.start()].strip():
                        yield text[begin : token.start()]
                    return
            case b"," if depth == 1:
                yield text[begin : token.start()]
                begin = token.end()
    raise ValueError("the end is missing")
