"""Reading documents of ours that a newer release may have written: status, snapshot, frozen profile. Pure.

Fields that this release does not know are left out. A status may also hold values that it does not know, such
as a new phase; they are left out on request, so that a rollback does not lose the rest of the status. In a
profile or a snapshot such a value decides how something is done, and nothing may take its place. People's
documents are read strictly (request.py): in them an unknown field is a mistake.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


# Members that say what a document is. With another value it is another document, and is not read at all.
_WHAT_IT_IS = ("apiVersion", "kind")


class _UnknownValue(Exception):
    """A value that is none of those that this release knows."""


@dataclass(frozen=True)
class Unknown:
    """Paths of what a release does not know in a document (`spec.training.newField`)."""

    fields: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)


def read_pruned(model: type[Model], text: str | bytes, *, unknown_values: bool = False) -> Model:
    """The model in a JSON document, without the fields that this release does not know, at every depth.

    With `unknown_values`, a field with an unknown value gets its default, and an item of a list that needs
    such a field is left out. Raises ValueError for a document that does not hold the model.
    """
    with contextlib.suppress(ValidationError):  # most documents hold nothing new
        return model.model_validate_json(text)
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    kept, unknown = pruned(model, document)
    if unknown.values and not unknown_values:
        return model.model_validate_json(text)  # raises, and names the value
    return model.model_validate_json(json.dumps(kept))


def pruned(model: type[BaseModel], value: Any) -> tuple[Any, Unknown]:
    """A JSON value without what a model does not know, and what that is."""
    unknown = Unknown()
    try:
        return _pruned(model, value, "", unknown), unknown
    except _UnknownValue:
        return value, unknown


def _pruned(annotation: Any, value: Any, path: str, unknown: Unknown) -> Any:
    """The value as far as its type knows it. Raises _UnknownValue where the type knows nothing of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _pruned_model(annotation, value, path, unknown) if isinstance(value, Mapping) else value
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Literal and isinstance(value, str) and value not in arguments:
        unknown.values.append(path)
        raise _UnknownValue
    if origin is Annotated:
        return _pruned(arguments[0], value, path, unknown)
    if origin in (Union, UnionType):
        choices = [argument for argument in arguments if argument is not type(None)]
        return _pruned(choices[0], value, path, unknown) if len(choices) == 1 and value is not None else value
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return _pruned_members(dict.fromkeys(value, arguments[1]), value, path, unknown)
    if origin in (list, tuple) and isinstance(value, list):
        return _pruned_items(arguments[0], value, path, unknown)
    return value


def _pruned_model(
    model: type[BaseModel], value: Mapping[str, Any], path: str, unknown: Unknown
) -> dict[str, Any]:
    types = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    kept = _pruned_members(types, value, path, unknown)
    needed = {info.alias or name for name, info in model.model_fields.items() if info.is_required()}
    if any(name in value and name not in kept for name in needed):
        raise _UnknownValue
    return kept


def _pruned_members(
    types: Mapping[str, Any], value: Mapping[str, Any], path: str, unknown: Unknown
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, member in value.items():
        here = f"{path}.{name}".lstrip(".")
        if name not in types:
            unknown.fields.append(here)
            continue
        if name in _WHAT_IT_IS:
            kept[name] = member
            continue
        with contextlib.suppress(_UnknownValue):
            kept[name] = _pruned(types[name], member, here, unknown)
    return kept


def _pruned_items(annotation: Any, items: Sequence[Any], path: str, unknown: Unknown) -> list[Any]:
    kept: list[Any] = []
    for number, item in enumerate(items):
        with contextlib.suppress(_UnknownValue):
            kept.append(_pruned(annotation, item, f"{path}[{number}]", unknown))
    return kept
