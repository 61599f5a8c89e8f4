"""Whether a JSON Schema is one that answers can be checked against: before anything is paid for. Pure.

jsonschema itself finds a reference to nothing, or one that leads back to itself, only once an answer gets
there.
"""

import graphlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import referencing
from referencing.jsonschema import DRAFT202012

from tunesmith.errors import Problem

_PATH = "spec.evaluation.format.jsonSchema"
_REFERENCES = ("$ref", "$dynamicRef")
# Keywords whose schemas apply to the very value that the schema itself applies to.
_ALSO = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
_LONGEST = 100  # schemas that apply to one value, each named by the one before
_NO_FORMATS = jsonschema.FormatChecker(())  # `pattern` is looked at here, with its path


class _Unusable(Exception):
    """What is wrong with a schema, at a path within it."""


def problem_with(schema: Mapping[str, Any]) -> Problem | None:
    """What keeps answers from being checked against a schema; None if nothing does."""
    walk = _Walk()
    try:
        walk.everything(schema)
        walk.check_loops()
    except _Unusable as error:
        where, why = error.args
        return Problem(f"{_PATH}{where}", why)
    return None


Resource = referencing.Resource[Any]


@dataclass
class _Walk:
    """All schemas within a schema and those that it refers to, each looked at once."""

    seen: dict[int, Any] = field(default_factory=dict)
    also: dict[int, set[int]] = field(default_factory=dict)  # schema -> those that apply to the same value

    def everything(self, schema: Mapping[str, Any]) -> None:
        """Looks at each schema. Raises _Unusable."""
        root = DRAFT202012.create_resource(schema)
        resolver = referencing.Registry[Any]().resolver_with_root(root)
        ahead = [(root, resolver)]
        _check_shape(schema)
        while ahead:
            resource, resolver = ahead.pop()
            part = resource.contents
            if id(part) in self.seen or not isinstance(part, Mapping):
                continue
            self.seen[id(part)] = part
            _check_patterns(part)
            also = self.also.setdefault(id(part), set())
            also.update(id(inner) for inner in _applied_also(part))
            for target in _targets(part, resolver):
                if id(target.contents) not in self.seen:
                    _check_shape(target.contents)
                also.add(id(target.contents))
                ahead.append((DRAFT202012.create_resource(target.contents), target.resolver))
            ahead += [(inner, resolver.in_subresource(inner)) for inner in resource.subresources()]

    def check_loops(self) -> None:
        """Raises _Unusable where a schema applies itself to the same value again, or too many others."""
        longest: dict[int, int] = {}
        try:
            for part in graphlib.TopologicalSorter(self.also).static_order():
                longest[part] = 1 + max((longest[inner] for inner in self.also.get(part, ())), default=0)
        except graphlib.CycleError as error:
            names = [self.seen[part].get("$ref") for part in error.args[1] if part in self.seen]
            through = next((name for name in names if name), "#")
            raise _Unusable("", f"{through} leads back to itself without end") from error
        if max(longest.values(), default=0) > _LONGEST:
            raise _Unusable("", f"more than {_LONGEST} references lead from one to the next")


def _check_shape(part: Any) -> None:
    try:
        jsonschema.Draft202012Validator.check_schema(part, format_checker=_NO_FORMATS)
    except jsonschema.SchemaError as error:
        where = "".join(f".{step}" for step in error.absolute_path)
        raise _Unusable(where, f"is not a valid JSON Schema: {error.message[:300]}") from error


def _check_patterns(part: Mapping[str, Any]) -> None:
    patterns = [part["pattern"]] if "pattern" in part else []
    for pattern in (*patterns, *part.get("patternProperties", ())):
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            why = f"the pattern {pattern[:60]!r} is not a regular expression: {error}"
            raise _Unusable("", why) from error


def _targets(part: Mapping[str, Any], resolver: Any) -> Iterator[Any]:
    """What a schema refers to."""
    for keyword in _REFERENCES:
        if keyword not in part:
            continue
        try:
            target = resolver.lookup(part[keyword])
        except (referencing.exceptions.Unresolvable, ValueError) as error:
            name = part[keyword][:60]
            why = f"the {keyword} {name!r} leads to nothing in the schema, and nothing is fetched"
            raise _Unusable("", why) from error
        yield target


def _applied_also(part: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas in a schema that apply to the same value; true and false end every loop."""
    for keyword in _ALSO:
        inner = part.get(keyword)
        if isinstance(inner, list):
            candidates = inner
        elif keyword == "dependentSchemas" and isinstance(inner, Mapping):
            candidates = list(inner.values())
        else:
            candidates = [inner]
        yield from (each for each in candidates if isinstance(each, Mapping))
