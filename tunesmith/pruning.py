"""Reading our own documents that a newer release may have written: a status, a snapshot. Pure.

What is new in them is left out: fields, and values of a field that has a list of values. Neither may stop an
older reader, which has to read a status after a rollback. People's documents are read strictly (request.py):
in them an unknown field or value is a mistake.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class _UnknownValue(Exception):
    """A value that is none of those that this release knows."""


def read_pruned(model: type[Model], text: str | bytes) -> Model:
    """The model in a JSON document, without the fields and values that this release does not know.

    A field with an unknown value gets its default; an item of a list that needs such a field is left out.
    Raises ValueError for a document that does not hold the model.
    """
    with contextlib.suppress(ValidationError):  # most documents hold nothing new
        return model.model_validate_json(text)
    kept, _ = pruned(model, json.loads(text))
    return model.model_validate_json(json.dumps(kept))


def pruned(model: type[BaseModel], value: Any) -> tuple[Any, list[str]]:
    """A JSON value without what a model does not know, and the paths of that (`spec.training.newField`)."""
    left_out: list[str] = []
    try:
        return _pruned(model, value, "", left_out), left_out
    except _UnknownValue:
        return value, left_out


def _pruned(annotation: Any, value: Any, path: str, left_out: list[str]) -> Any:
    """The value as far as its type knows it; raises _UnknownValue where the type knows none of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _pruned_model(annotation, value, path, left_out) if isinstance(value, Mapping) else value
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    is_choice = origin is Literal and len(arguments) > 1  # a single value says what the document is
    if is_choice and isinstance(value, str) and value not in arguments:
        left_out.append(path)
        raise _UnknownValue
    if origin is Annotated:
        return _pruned(arguments[0], value, path, left_out)
    if origin in (Union, UnionType):
        choices = [argument for argument in arguments if argument is not type(None)]
        return (
            _pruned(choices[0], value, path, left_out) if len(choices) == 1 and value is not None else value
        )
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return _pruned_members(dict.fromkeys(value, arguments[1]), value, path, left_out)
    if origin in (list, tuple) and isinstance(value, list):
        return _pruned_items(arguments[0], value, path, left_out)
    return value


def _pruned_model(
    model: type[BaseModel], value: Mapping[str, Any], path: str, left_out: list[str]
) -> dict[str, Any]:
    types = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    kept = _pruned_members(types, value, path, left_out)
    needed = {info.alias or name for name, info in model.model_fields.items() if info.is_required()}
    if any(name in value and name not in kept for name in needed):
        raise _UnknownValue
    return kept


def _pruned_members(
    types: Mapping[str, Any], value: Mapping[str, Any], path: str, left_out: list[str]
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, member in value.items():
        here = f"{path}.{name}".lstrip(".")
        if name not in types:
            left_out.append(here)
            continue
        with contextlib.suppress(_UnknownValue):
            kept[name] = _pruned(types[name], member, here, left_out)
    return kept


def _pruned_items(annotation: Any, items: Sequence[Any], path: str, left_out: list[str]) -> list[Any]:
    kept: list[Any] = []
    for number, item in enumerate(items):
        with contextlib.suppress(_UnknownValue):
            kept.append(_pruned(annotation, item, f"{path}[{number}]", left_out))
    return kept
