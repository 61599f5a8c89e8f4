"""Whether an answer has the form that `evaluation.format` asks for. Pure."""

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import referencing

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Format

FormatCheck = Callable[[str], str]  # answer -> what is wrong with its form; empty if nothing is


def format_check(wanted: Format | None) -> FormatCheck | None:
    """The check of an answer's form; None if no form is asked for.

    Raises BadRequest for an invalid schema.
    """
    if wanted is None:
        return None
    if wanted.regex is not None:
        return _regex_check(wanted.regex)
    return _schema_check(wanted.json_schema or {})


def _regex_check(regex: str) -> FormatCheck:
    pattern = re.compile(regex)

    def check(answer: str) -> str:
        return "" if pattern.fullmatch(answer.strip()) else "does not match the regular expression"

    return check


def _schema_check(schema: dict[str, Any]) -> FormatCheck:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise _unusable(f"is not a JSON Schema: {error.message}") from error
    # An empty registry: a `$ref` to the network stays unresolved instead of being fetched.
    validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())

    def check(answer: str) -> str:
        try:
            value = json.loads(answer)
        except ValueError as error:
            return f"not JSON: {error}"
        try:
            violation = next(validator.iter_errors(value), None)
        except referencing.exceptions.Unresolvable as error:
            raise _unusable(f"refers to something outside it: {error}") from error
        return f"{violation.json_path}: {violation.message}" if violation else ""

    return check


def _unusable(why: str) -> BadRequest:
    problem = Problem("spec.evaluation.format.jsonSchema", why)
    return BadRequest("the answers' format can't be checked", problems=[problem])
