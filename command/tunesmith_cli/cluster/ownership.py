"""What server-side apply makes of a request: the fields that were applied before and are in the file no more go. Pure.

The acts (retry, rerun, suspend) are merge patches of the same field manager: the API server keeps them apart as `Update`, and so as
somebody else's. Only `submit` knows that they are its own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.errors import TunesmithError
from tunesmith_cli.cluster.api import FIELD_MANAGER

FieldPath = tuple[str, ...]


def applied(live: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The live object after the document was applied to it, as far as nobody else's field is in the way."""
    entries = live.get("metadata", {}).get("managedFields") or ()
    mine = {path for entry in entries if _mine(entry) for path in _owned(entry.get("fieldsV1") or {})}
    others = {path for entry in entries if not _mine(entry) for path in _owned(entry.get("fieldsV1") or {})}
    said = set(_paths(document))
    result = dict(live)
    for path in sorted(mine - others - said):
        if not any(other[: len(path)] == path for other in others):
            result = _without(result, path, said)
    return merged(result, document)


def merged(request: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch laid over a document (RFC 7396)."""
    result = dict(request)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            below = result.get(name)
            result[name] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[name] = value
    return result


def only_own(conflict: TunesmithError) -> bool:
    """Whether all the fields of a conflict were last set by an act of ours."""
    return bool(conflict.problems) and all(
        one.why.startswith(f'conflict with "{FIELD_MANAGER}" ') for one in conflict.problems
    )


def same_wish(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two states of an object differ in nothing that a file can say."""
    return _wish(before) == _wish(after)


def _wish(request: Mapping[str, Any]) -> tuple[Any, ...]:
    metadata = request["metadata"]
    return (
        metadata.get("uid"),
        _filled(request["spec"]),
        *(metadata.get(name) or {} for name in ("labels", "annotations")),
    )


def _filled(value: Any) -> Any:
    """Without empty parts, which say nothing."""
    if not isinstance(value, Mapping):
        return value
    return {name: filled for name, member in value.items() if (filled := _filled(member)) != {}}


def _mine(entry: Mapping[str, Any]) -> bool:
    return (
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _owned(fields: Mapping[str, Any], path: FieldPath = ()) -> Iterator[FieldPath]:
    """Leaves of a fieldsV1. Members of lists are left to their list."""
    names = {name[2:]: below for name, below in fields.items() if name.startswith("f:")}
    if not names and path:
        yield path
    for name, below in names.items():
        yield from _owned(below, (*path, name))


def _paths(document: Mapping[str, Any], path: FieldPath = ()) -> Iterator[FieldPath]:
    """Every path of a document, to parts and to leaves."""
    for name, value in document.items():
        yield (*path, name)
        if isinstance(value, Mapping):
            yield from _paths(value, (*path, name))


def _without(
    part: Mapping[str, Any], path: FieldPath, said: set[FieldPath], above: FieldPath = ()
) -> dict[str, Any]:
    """The part without what is at a path, and without the parts that are empty then and not said."""
    first, *rest = path
    here = (*above, first)
    left = {name: value for name, value in part.items() if name != first}
    below = part.get(first)
    if not rest or not isinstance(below, Mapping):
        return left if not rest else dict(part)
    inner = _without(below, tuple(rest), said, here)
    return {**part, first: inner} if inner or here in said else left
