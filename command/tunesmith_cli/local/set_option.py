"""`--set PATH=VALUE`: a value that is laid over a request before it is read."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.documents import read_documents, scalar
from tunesmith.errors import BadRequest, Problem, Usage

_SET_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_-]+)*")


def parse_set(text: str) -> tuple[str, Any]:
    """Path and value of `data.examples=20`.

    The value is typed as an unquoted scalar in YAML, or is YAML if it begins with [ { " or '.
    """
    path, equals, value = text.partition("=")
    path = path.strip().removeprefix("spec.")
    if not equals or not _SET_PATH.fullmatch(path):
        raise Usage(f"--set {text}: must be path=value", remedy="for example --set data.examples=20")
    try:
        if value[:1] in ("[", "{", '"', "'"):
            return path, next(iter(read_documents(value, f"--set {path}")), None)
        return path, scalar(value)
    except (ValueError, BadRequest) as error:
        raise Usage(f"--set {text}: {error}") from error


def laid_over(part: Mapping[str, Any], path: Sequence[str], value: Any, whole: str) -> dict[str, Any]:
    """The part with a value at a path. `whole`: the path as it was given, for messages. Raises BadRequest."""
    first, *rest = path
    if not rest:
        return {**part, first: value}
    below = part.get(first)
    if below is not None and not isinstance(below, Mapping):
        raise BadRequest(
            "--set cannot be laid over the request",
            problems=[Problem(f"--set {whole}", f"{first} is not a mapping", below)],
        )
    return {**part, first: laid_over(below or {}, rest, value, whole)}
