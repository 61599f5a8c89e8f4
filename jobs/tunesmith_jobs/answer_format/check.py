"""The check of an answer's form. Pure; it may take any time."""

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import referencing

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Format
from tunesmith_jobs.answer_format.schema import problem_with

FormatCheck = Callable[[str], str]  # answer -> what is wrong with its form; empty if nothing is
_TOO_MUCH = "is nested too deep to be checked"


def format_check(wanted: Format) -> FormatCheck:
    """The check of an answer's form. Raises BadRequest for a form that cannot be checked."""
    if wanted.regex is not None:
        return _regex_check(wanted.regex)
    return _schema_check(wanted.json_schema or {})


def _regex_check(regex: str) -> FormatCheck:
    try:
        pattern = re.compile(regex)
    except (re.error, OverflowError, RecursionError) as error:
        problem = Problem("spec.evaluation.format.regex", f"is not a regular expression: {error}")
        raise _unusable(problem, reason="BadRegex") from error

    def check(answer: str) -> str:
        return "" if pattern.fullmatch(answer.strip()) else "does not match the regular expression"

    return check


def _schema_check(schema: dict[str, Any]) -> FormatCheck:
    if problem := problem_with(schema):
        raise _unusable(problem, reason="BadSchema")
    # An empty registry: a `$ref` to the network stays unresolved instead of being fetched.
    validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())

    def check(answer: str) -> str:
        try:
            value = json.loads(answer)
            violation = next(validator.iter_errors(value), None)
        except ValueError as error:
            return f"not JSON: {error}"
        except RecursionError:
            return _TOO_MUCH
        return f"{violation.json_path}: {violation.message}" if violation else ""

    return check


def _unusable(problem: Problem, *, reason: str) -> BadRequest:
    return BadRequest("the format of the answers cannot be checked", reason=reason, problems=[problem])
