"""The text under each field of a model, read from its source. Pure.

pydantic can do this while the classes are made (`use_attribute_docstrings`); that took half of the command line's start-up.
"""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import get_args

from pydantic import BaseModel


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """Alias of each field that `model` itself declares -> the string literal below it."""
    body = _classes(inspect.getsourcefile(model) or "")[model.__name__].body
    docs: dict[str, str] = {}
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                docs[model.model_fields[name].alias or name] = inspect.cleandoc(doc)
            case _:
                pass
    return docs


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Every model that a type mentions, itself included if it is one; not the models in their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


@cache
def _classes(file: str) -> dict[str, ast.ClassDef]:
    with open(file, encoding="utf-8") as source:  # noqa: PTH123 - pathlib would be one more import at start-up
        tree = ast.parse(source.read())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
