"""What server-side apply makes of a request: fields that are no longer in the file go. Pure.

The acts (retry, rerun, suspend) are merge patches of the same field manager: the API server keeps them apart
as `Update`, as if they were somebody else's. Only `submit` knows that they are its own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.errors import TunesmithError
from tunesmith_cli.cluster.api import FIELD_MANAGER

FieldPath = tuple[str, ...]


def applied(live: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The live object after the document was applied to it, as far as nobody else's field is in the way."""
    entries = live.get("metadata", {}).get("managedFields") or ()
    ours: set[FieldPath] = set()
    others: set[FieldPath] = set()
    for entry in entries:
        owner = ours if _is_ours(entry) else others
        owner.update(_owned(entry.get("fieldsV1") or {}))
    stated = set(_paths(document))
    result = dict(live)
    for path in sorted(ours - others - stated):
        if not any(other[: len(path)] == path for other in others):
            result = _without(result, path, stated)
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


def only_ours(conflict: TunesmithError) -> bool:
    """Whether all the fields of a conflict were last set by an act of ours."""
    ours = f'conflict with "{FIELD_MANAGER}" '
    return bool(conflict.problems) and all(problem.why.startswith(ours) for problem in conflict.problems)


def is_unchanged(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two states of an object differ in nothing that a file can say."""
    return _stated(before) == _stated(after)


def _stated(request: Mapping[str, Any]) -> tuple[Any, ...]:
    metadata = request["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return metadata.get("uid"), _filled(request["spec"]), labels, annotations


def _filled(value: Any) -> Any:
    """The value without empty parts, which say nothing."""
    if not isinstance(value, Mapping):
        return value
    members = {name: _filled(member) for name, member in value.items()}
    return {name: member for name, member in members.items() if member != {}}


def _is_ours(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of `managedFields` is that of `submit`."""
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
    part: Mapping[str, Any], path: FieldPath, stated: set[FieldPath], above: FieldPath = ()
) -> dict[str, Any]:
    """The part without what is at a path, and without parts that are then empty and not in the file."""
    first, *rest = path
    here = (*above, first)
    others = {name: value for name, value in part.items() if name != first}
    if not rest:
        return others
    below = part.get(first)
    if not isinstance(below, Mapping):
        return dict(part)
    inner = _without(below, tuple(rest), stated, here)
    return {**part, first: inner} if inner or here in stated else others
