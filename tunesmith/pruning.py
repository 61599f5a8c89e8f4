"""Documents of our own that a newer release may have written: a status, a snapshot.

What this release does not know is left out. Pure.

People's documents are read strictly (request.py): in them an unknown field is a mistake.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tunesmith.field_docs import models_in

Model = TypeVar("Model", bound=BaseModel)


def read_pruned(model: type[Model], text: str | bytes) -> Model:
    """The model in a JSON document, without the fields that it does not have, at every depth.

    Raises ValueError for a document that does not hold the model.
    """
    with contextlib.suppress(ValidationError):  # most documents hold nothing new
        return model.model_validate_json(text)
    kept, _ = pruned(model, json.loads(text))
    return model.model_validate_json(json.dumps(kept))


def pruned(annotation: Any, value: Any, path: str = "") -> tuple[Any, list[str]]:
    """A JSON value without what its type does not know, and the paths of what was left out
    (`spec.training.newField`).
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {info.alias or name: info.annotation for name, info in annotation.model_fields.items()}
        return _pruned_members(fields, value, path) if isinstance(value, Mapping) else (value, [])
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin in (Annotated, Union, UnionType):
        model = next((argument for argument in arguments if any(models_in(argument))), None)
        return pruned(model, value, path) if model is not None else (value, [])
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return _pruned_members(dict.fromkeys(value, arguments[1]), value, path)
    if origin in (list, tuple) and isinstance(value, list):
        return _pruned_items(arguments[0], value, path)
    return value, []


def _pruned_members(
    types: Mapping[str, Any], value: Mapping[str, Any], path: str
) -> tuple[dict[str, Any], list[str]]:
    kept: dict[str, Any] = {}
    left_out: list[str] = []
    for name, member in value.items():
        here = f"{path}.{name}".lstrip(".")
        if name not in types:
            left_out.append(here)
            continue
        kept[name], within = pruned(types[name], member, here)
        left_out += within
    return kept, left_out


def _pruned_items(annotation: Any, items: Sequence[Any], path: str) -> tuple[list[Any], list[str]]:
    kept: list[Any] = []
    left_out: list[str] = []
    for number, item in enumerate(items):
        rest, within = pruned(annotation, item, f"{path}[{number}]")
        kept.append(rest)
        left_out += within
    return kept, left_out
