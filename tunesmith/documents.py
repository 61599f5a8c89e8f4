"""YAML and JSON as Kubernetes reads them: the same bytes mean the same here and in the API server.

No Python reader does this: PyYAML makes a string of `2e-4` and 45000 of `12:30:00`; ruamel reads `012` as 12.
So this is PyYAML's SafeLoader with the resolver of go-yaml v2, which kubectl and the API server use through
sigs.k8s.io/yaml.
"""

import contextlib
import math
import re
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import yaml

from tunesmith.errors import BadRequest, Problem
from tunesmith.extent import DEEPEST, FLATTER, TOO_DEEP, problem_with

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INT = re.compile(r"[-+]?(0[bB][01]+|0[oO][0-7]+|0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_UNTAGGED = "tag:tunesmith.dev,2026:untagged"
_INT_BITS = 63  # the API server makes a float of a larger number
_ALIASES = 1000  # in a document; kubectl refuses those that repeat too much, too
_MERGED = 1000  # keys that `<<` may bring into a mapping


class _Loader(yaml.SafeLoader):
    """SafeLoader whose plain scalars are typed by `scalar`.

    It refuses a key that is given twice, what JSON cannot express, and what is nested or repeated so much
    that reading it could fail.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node with all that is in it."""
        event = self.peek_event()  # type: ignore[no-untyped-call] # of types-PyYAML
        if isinstance(event, yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > _ALIASES:
                raise _unreadable(f"more than {_ALIASES} aliases", event.start_mark)
        is_part = isinstance(event, yaml.CollectionStartEvent)
        if is_part and self._depth == DEEPEST:
            raise _unreadable(TOO_DEEP, event.start_mark)
        self._depth += is_part
        node = super().compose_node(parent, index)
        self._depth -= is_part
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Puts the keys that `<<` brings among the others."""
        own = len(node.value)
        super().flatten_mapping(node)
        if len(node.value) > own + _MERGED:
            raise _unreadable(f"<< brings more than {_MERGED} keys", node.start_mark)

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """The tag of a node without a tag of its own. `!!str 5` has one, and stays a text."""
        tag = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call] # of types-PyYAML
        is_plain = kind is yaml.ScalarNode and tag == self.DEFAULT_SCALAR_TAG
        return _UNTAGGED if is_plain else tag


def _unreadable(why: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.composer.ComposerError(None, None, why, mark)


def scalar(text: str) -> str | int | float | bool | None:
    """The value of a plain (unquoted) scalar.

    Raises ValueError for infinities and NaN, which JSON cannot express.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INFINITE.fullmatch(text):
        raise ValueError(f"{text} is not a number that JSON can hold")
    digits = text.replace("_", "")
    if text[:1] not in "+-.0123456789":
        return text
    if _INT.fullmatch(digits) and _integer(digits).bit_length() <= _INT_BITS:
        return _integer(digits)
    if _FLOAT.fullmatch(digits):
        return _number(float(digits), text)
    return text


def _number(number: float, text: str) -> int | float:
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a number")
    is_whole = number.is_integer() and abs(number) < 2**53
    return int(number) if is_whole else number


def _integer(digits: str) -> int:
    sign, body = (digits[0], digits[1:]) if digits[0] in "+-" else ("", digits)
    if len(body) > 1 and body[0] == "0" and body[1].isdigit():
        body = "0o" + body[1:]
    return int(sign + body, 0)


def _plain(_loader: _Loader, node: yaml.ScalarNode) -> Any:
    if node.style is not None:
        return node.value
    try:
        return scalar(node.value)
    except ValueError as error:
        raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


def _tagged(_loader: _Loader, node: yaml.ScalarNode) -> Any:
    """A scalar with an explicit type: `!!int 5`."""
    kinds = _KINDS[node.tag.rpartition(":")[2]]
    with contextlib.suppress(ValueError):
        value = scalar(node.value)
        if type(value) in kinds:
            return value
    raise yaml.constructor.ConstructorError(
        None, None, f"{node.value!r} is not a valid {node.tag.rpartition(':')[2]}", node.start_mark
    )


def _refused(_loader: _Loader, node: yaml.Node) -> Any:
    raise yaml.constructor.ConstructorError(
        None, None, f"JSON has no !!{node.tag.rpartition(':')[2]}", node.start_mark
    )


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    loader.flatten_mapping(node)
    result: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key is None:
            raise yaml.constructor.ConstructorError(None, None, "a key is null", key_node.start_mark)
        if isinstance(key, bool):
            key = "true" if key else "false"  # sigs.k8s.io/yaml: keys become strings after typing
        elif isinstance(key, int | float):
            key = str(key)
        elif not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a string", key_node.start_mark)
        if key in result:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is given twice", key_node.start_mark
            )
        result[key] = loader.construct_object(value_node, deep=True)
    return result


# PyYAML itself types nothing else.
_Loader.yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("<<$"))]}
_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}
_Loader.add_constructor(_UNTAGGED, _plain)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
for _kind in _KINDS:
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _tagged)
for _kind in ("binary", "timestamp", "set", "omap", "pairs"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _refused)


def read_documents(text: str, name: str = "the file") -> list[Any]:
    """All documents of a YAML or JSON text (JSON is YAML) except empty ones.

    `name` is what messages call the text. Raises BadRequest.
    """
    documents = []
    loader = None
    try:
        loader = _Loader(text)
        while loader.check_data():  # type: ignore[no-untyped-call] # of types-PyYAML
            line = loader.line + 1
            document = loader.get_data()
            if problem := problem_with(document):
                where = f"{name}, document at line {line}" if line > 1 else name
                problem = replace(problem, path=f"{where}: {problem.path}".removesuffix(": "))
                raise BadRequest("not readable as YAML or JSON", problems=[problem])
            documents.append(document)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
        why = getattr(error, "problem", None) or str(error)
        problem = Problem(where, why, remedy=FLATTER if why == TOO_DEEP else "")
        raise BadRequest("not readable as YAML or JSON", problems=[problem]) from error
    except RecursionError:
        line = loader.line + 1 if loader else 1
        problem = Problem(f"{name}, line {line}", TOO_DEEP, remedy=FLATTER)
        raise BadRequest("not readable as YAML or JSON", problems=[problem]) from None
    finally:
        if loader:
            loader.dispose()
    return [document for document in documents if document is not None]
