"""Documents of our own that a newer release may have written: a status, a snapshot. What this one does not know is left out. Pure.

People's documents are read strictly (request.py): there an unknown field is a mistake.
"""

import contextlib
import json
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tunesmith.field_docs import models_in

Model = TypeVar("Model", bound=BaseModel)


def read_known(model: type[Model], text: str | bytes) -> Model:
    """The model in a JSON document, at every depth without the fields that it does not have. Raises ValueError if it is none."""
    with contextlib.suppress(ValidationError):  # mostly there is nothing new in it
        return model.model_validate_json(text)
    return model.model_validate_json(json.dumps(known(model, json.loads(text))[0]))


def known(annotation: Any, value: Any, path: str = "") -> tuple[Any, list[str]]:
    """What a type knows of a value as JSON has it, and the paths of what it does not (`spec.training.newField`)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {info.alias or name: info.annotation for name, info in annotation.model_fields.items()}
        return _members(fields, value, path) if isinstance(value, Mapping) else (value, [])
    arguments, origin = get_args(annotation), get_origin(annotation)
    if origin in (Annotated, Union, UnionType):
        inner = next((argument for argument in arguments if any(models_in(argument))), None)
        return known(inner, value, path) if inner is not None else (value, [])
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return _members(dict.fromkeys(value, arguments[1]), value, path)
    if origin in (list, tuple) and isinstance(value, list):
        found = [known(arguments[0], item, f"{path}[{number}]") for number, item in enumerate(value)]
        return [item for item, _ in found], [one for _, more in found for one in more]
    return value, []


def _members(types: Mapping[str, Any], value: Mapping[str, Any], path: str) -> tuple[dict[str, Any], list[str]]:
    kept: dict[str, Any] = {}
    unknown: list[str] = []
    for name, member in value.items():
        here = f"{path}.{name}".lstrip(".")
        if name in types:
            kept[name], more = known(types[name], member, here)
            unknown += more
        else:
            unknown.append(here)
    return kept, unknown
