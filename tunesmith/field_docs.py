"""The text under each field of a model, read from the model's source, as the import system has read it. Pure.

pydantic can do this while it makes the classes (`use_attribute_docstrings`); that took half of the command
line's start-up.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import get_args

from pydantic import BaseModel


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """Alias of each field that `model` itself declares -> the text below it, on one line."""
    body = _classes(model.__module__)[model.__name__].body
    docs: dict[str, str] = {}
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                docs[model.model_fields[name].alias or name] = " ".join(doc.split())
            case _:
                pass
    return docs


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Every model that a type mentions, including the type itself, but not the models in their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
