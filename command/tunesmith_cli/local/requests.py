"""Requests as files on this machine: several documents, `--set`, and paths relative to the file."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.documents import read_documents, scalar
from tunesmith.errors import BadRequest, Problem, TunesmithError, Usage
from tunesmith.plan import snapshot
from tunesmith.profile import Profile
from tunesmith.request import TrainingRequest, parse
from tunesmith.resolve import Snapshot
from tunesmith_cli.local.environment import ENVIRONMENT

SET = "--set"  # provenance of a value that the command line gave


_PATHS = (("model", "base"), ("data", "source", "uri"), ("output",))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class Asked:
    """A request that was read. `source`: the file, for messages; `overridden`: field paths that `--set` gave."""

    request: TrainingRequest
    source: str
    overridden: frozenset[str] = frozenset()


def read_requests(files: Sequence[str], sets: Sequence[str] = ()) -> list[Asked]:
    """Every request in the files (`-`: standard input), in order. Raises one BadRequest with all that is wrong in all of them."""
    overrides = [parse_set(text) for text in sets]
    found: list[Asked] = []
    failures: list[tuple[str, BadRequest]] = []
    for file in files:
        text, folder = _read(file)
        try:
            documents = read_documents(text, file)
        except BadRequest as error:
            failures.append((file, error))
            continue
        if not documents:
            failures.append((file, BadRequest(f"{file} holds no request")))
        for number, document in enumerate(documents, 1):
            place = file if len(documents) == 1 else f"{file}, document {number}"
            try:
                found.append(_asked(document, place, folder, overrides))
            except BadRequest as error:
                failures.append((place, error))
    failures += _twice(found)
    if failures:
        raise _together(failures)
    return found


def parse_set(text: str) -> tuple[str, Any]:
    """Path and value of `data.examples=20`. The value is typed as an unquoted scalar in YAML, or is YAML if it begins with [ { " or '."""
    path, equals, value = text.partition("=")
    path = path.strip().removeprefix("spec.")
    if not equals or not re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_-]+)*", path):
        raise Usage(f"--set {text}: must be path=value", remedy="for example --set data.examples=20")
    try:
        if value[:1] in ("[", "{", '"', "'"):
            return path, next(iter(read_documents(value, f"--set {path}")), None)
        return path, scalar(value)
    except (ValueError, BadRequest) as error:
        raise Usage(f"--set {text}: {error}") from error


def local_snapshot(asked: Asked, environ: Mapping[str, str], run: str = "") -> Snapshot:
    """The resolved request for a run on this machine. `run`: name in the store, over the request's own."""
    made = snapshot(
        asked.request, run=asked.request.metadata.name, profile=_environment(asked.request, environ)
    )
    provenance = {
        path: SET
        if _overridden(path, asked.overridden)
        else ENVIRONMENT
        if source == f"profile {ENVIRONMENT}"
        else source
        for path, source in made.provenance.items()
    }
    return made.model_copy(update={"run": run or made.run, "provenance": provenance})


def refreshed(stored: Snapshot, environ: Mapping[str, str]) -> Snapshot:
    """A stored snapshot whose endpoint, if it came from an environment, is that of this one: the key comes from here too."""
    source = stored.provenance.get("data.teacher.baseURL")
    if source not in (ENVIRONMENT, "built-in") or stored.spec.data.teacher.secret is not None:
        return stored
    url = environ.get("OPENAI_BASE_URL", "")
    teacher = stored.spec.data.teacher.model_copy(update={"base_url": url})
    spec = stored.spec.model_copy(update={"data": stored.spec.data.model_copy(update={"teacher": teacher})})
    provenance = stored.provenance | {"data.teacher.baseURL": ENVIRONMENT if url else "built-in"}
    return stored.model_copy(update={"spec": spec, "provenance": provenance})


def _environment(request: TrainingRequest, environ: Mapping[str, str]) -> Profile | None:
    """OPENAI_BASE_URL, unless the request names an endpoint or brings a secret: an endpoint and its key have one source."""
    teacher = request.spec.data.teacher
    url = environ.get("OPENAI_BASE_URL", "")
    if not url or teacher.base_url or teacher.secret:
        return None
    return Profile(name=ENVIRONMENT, defaults={"data": {"teacher": {"baseURL": url}}})


def _overridden(path: str, overridden: frozenset[str]) -> bool:
    return any(path == given or path.startswith(f"{given}.") for given in overridden)


def _asked(document: Any, place: str, folder: Path, overrides: Sequence[tuple[str, Any]]) -> Asked:
    if isinstance(document, Mapping):
        spec = document.get("spec")
        if isinstance(spec, Mapping):
            for path, value in overrides:
                spec = laid_over(spec, path.split("."), value, path)
            document = {**document, "spec": _with_absolute_paths(spec, folder)}
    overridden = frozenset(path for path, _ in overrides)
    try:
        return Asked(parse(document), place, overridden)
    except BadRequest as error:
        problems = [_said_where(problem, overridden) for problem in error.problems]
        raise BadRequest(
            error.message, reason=error.reason, remedy=error.remedy, problems=problems
        ) from error


def _said_where(problem: Problem, overridden: frozenset[str]) -> Problem:
    path = problem.path.removeprefix("spec.")
    return (
        replace(problem, path=f"{problem.path} (given by --set)")
        if _overridden(path, overridden)
        else problem
    )


def laid_over(part: Mapping[str, Any], path: Sequence[str], value: Any, whole: str) -> dict[str, Any]:
    """The part with a value at a path. `whole`: the path as it was given, for messages. Raises BadRequest."""
    first, *rest = path
    if not rest:
        return {**part, first: value}
    below = part.get(first)
    if below is not None and not isinstance(below, Mapping):
        raise BadRequest(
            "--set cannot be laid over the request",
            problems=[Problem(f"--set {whole}", f"{first} is no mapping", below)],
        )
    return {**part, first: laid_over(below or {}, rest, value, whole)}


def _with_absolute_paths(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    result = dict(spec)
    for path in _PATHS:
        value: Any = spec
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str) and value and not _SCHEME.match(value):
            place = Path(os.path.normpath(folder / Path(value).expanduser()))
            result = laid_over(
                result,
                path,
                str(place) if path == ("data", "source", "uri") else place.as_uri(),
                ".".join(path),
            )
    return result


def _read(file: str) -> tuple[str, Path]:
    """Text of a file, and the folder its relative paths start from."""
    try:
        if file == "-":
            return sys.stdin.read(), Path.cwd()
        return Path(file).read_text(encoding="utf-8-sig"), Path(file).absolute().parent
    except OSError as error:
        raise Usage(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadRequest(f"{file} is no text in UTF-8: {error.reason} at byte {error.start}") from error


def _twice(found: Sequence[Asked]) -> list[tuple[str, BadRequest]]:
    """Requests that would share a run."""
    seen: dict[str, str] = {}
    failures = []
    for asked in found:
        run = asked.request.spec.run or asked.request.metadata.name
        if run in seen:
            why = f"its run {run!r} is that of {seen[run]} too"
            failures.append(
                (
                    asked.source,
                    BadRequest("two requests with one run", problems=[Problem("metadata.name", why)]),
                )
            )
        seen.setdefault(run, asked.source)
    return failures


def _together(failures: Sequence[tuple[str, BadRequest]]) -> TunesmithError:
    if len(failures) == 1:
        place, error = failures[0]
        return BadRequest(f"{place}: {error.message}", remedy=error.remedy, problems=error.problems)
    problems = [
        Problem(
            f"{place}: {problem.path}" if problem.path else place, problem.why, problem.value, problem.remedy
        )
        for place, error in failures
        for problem in (error.problems or (Problem("", error.message),))
    ]
    return BadRequest(f"{len(failures)} requests cannot run", problems=problems)
