"""Requests in files of this machine: several documents, `--set`, and paths relative to the file."""

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
from tunesmith.resolve import BUILT_IN, Snapshot
from tunesmith.settings import Teacher
from tunesmith_cli.local.environment import ENVIRONMENT

SET = "--set"  # provenance of a value that the command line gave

_SOURCE = ("data", "source", "uri")  # a path on this machine, not a URL
_PATHS = (("model", "base"), _SOURCE, ("output",))
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SET_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True)
class LoadedRequest:
    """A request that was read. `source`: its file, for messages; `overridden`: paths that `--set` gave."""

    request: TrainingRequest
    source: str
    overridden: frozenset[str] = frozenset()


Failure = tuple[str, BadRequest]  # the file or document, and what is wrong with it


def read_requests(files: Sequence[str], sets: Sequence[str] = ()) -> list[LoadedRequest]:
    """Every request in the files (`-`: standard input), in order.

    Raises one BadRequest with everything that is wrong in all of them.
    """
    overrides = [parse_set(text) for text in sets]
    requests: list[LoadedRequest] = []
    failures: list[Failure] = []
    for file in files:
        try:
            documents = read_documents(file_text(file), file)
        except BadRequest as error:
            failures.append((file, error))
            continue
        if not documents:
            failures.append((file, BadRequest(f"{file} holds no request")))
        folder = Path.cwd() if file == "-" else Path(file).absolute().parent
        for number, document in enumerate(documents, 1):
            source = document_name(file, number, len(documents))
            try:
                requests.append(_loaded(document, source, folder, overrides))
            except BadRequest as error:
                failures.append((source, error))
    failures += _sharing_a_run(requests)
    if failures:
        raise together(failures)
    return requests


def file_text(file: str) -> str:
    """Text of a file (`-`: standard input). Raises Usage for one that is not readable, else BadRequest."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Usage(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        why = f"is not text in UTF-8: {error.reason} at byte {error.start}"
        raise BadRequest("not readable", problems=[Problem(file, why)]) from error


def document_name(file: str, number: int, count: int) -> str:
    """What messages call a document: its file, and its number if the file holds several."""
    return file if count == 1 else f"{file}, document {number}"


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


def local_snapshot(loaded: LoadedRequest, environ: Mapping[str, str], run: str = "") -> Snapshot:
    """The resolved request for a run on this machine.

    `run`: name in the store, which wins over the request's own.
    """
    request = loaded.request
    resolved = snapshot(request, run=request.metadata.name, profile=_environment(request, environ))
    provenance = {
        path: _provenance(path, source, loaded.overridden) for path, source in resolved.provenance.items()
    }
    return resolved.model_copy(update={"run": run or resolved.run, "provenance": provenance})


def refreshed(stored: Snapshot, environ: Mapping[str, str]) -> Snapshot:
    """A stored snapshot whose endpoint, if it came from an environment, is that of this one: the key comes
    from here too.
    """
    source = stored.provenance.get("data.teacher.baseURL")
    if source not in (ENVIRONMENT, BUILT_IN) or _brings_secret(stored.spec.data.teacher):
        return stored
    url = environ.get("OPENAI_BASE_URL", "")
    teacher = stored.spec.data.teacher.model_copy(update={"base_url": url})
    spec = stored.spec.model_copy(update={"data": stored.spec.data.model_copy(update={"teacher": teacher})})
    provenance = stored.provenance | {"data.teacher.baseURL": ENVIRONMENT if url else BUILT_IN}
    return stored.model_copy(update={"spec": spec, "provenance": provenance})


def _environment(request: TrainingRequest, environ: Mapping[str, str]) -> Profile | None:
    """OPENAI_BASE_URL, unless the request names an endpoint or brings a secret: an endpoint and its key have
    one source.
    """
    teacher = request.spec.data.teacher
    url = environ.get("OPENAI_BASE_URL", "")
    if not url or teacher.base_url or _brings_secret(teacher):
        return None
    return Profile(name=ENVIRONMENT, defaults={"data": {"teacher": {"baseURL": url}}})


def _brings_secret(teacher: Teacher) -> bool:
    return bool(teacher.secret or teacher.secret_headers or teacher.secret_query)


def _provenance(path: str, source: str, overridden: frozenset[str]) -> str:
    """Where a value came from, as people on this machine know it."""
    if _is_overridden(path, overridden):
        return SET
    return ENVIRONMENT if source == f"profile {ENVIRONMENT}" else source


def _is_overridden(path: str, overridden: frozenset[str]) -> bool:
    return any(path == given or path.startswith(f"{given}.") for given in overridden)


def _loaded(document: Any, source: str, folder: Path, overrides: Sequence[tuple[str, Any]]) -> LoadedRequest:
    if isinstance(document, Mapping) and isinstance(spec := document.get("spec"), Mapping):
        for path, value in overrides:
            spec = laid_over(spec, path.split("."), value, path)
        document = {**document, "spec": _with_absolute_paths(spec, folder)}
    overridden = frozenset(path for path, _ in overrides)
    try:
        return LoadedRequest(parse(document), source, overridden)
    except BadRequest as error:
        problems = [_naming_set(problem, overridden) for problem in error.problems]
        raise BadRequest(
            error.message, reason=error.reason, remedy=error.remedy, problems=problems
        ) from error


def _naming_set(problem: Problem, overridden: frozenset[str]) -> Problem:
    """The problem, which says so if its value was given by --set."""
    if not _is_overridden(problem.path.removeprefix("spec."), overridden):
        return problem
    return replace(problem, path=f"{problem.path} (given by --set)")


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


def _with_absolute_paths(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    result = dict(spec)
    for path in _PATHS:
        value: Any = spec
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str) and value and not _SCHEME.match(value):
            absolute = Path(os.path.normpath(folder / Path(value).expanduser()))
            location = str(absolute) if path == _SOURCE else absolute.as_uri()
            result = laid_over(result, path, location, ".".join(path))
    return result


def _sharing_a_run(requests: Sequence[LoadedRequest]) -> list[Failure]:
    """Requests that would share a run with an earlier one."""
    sources: dict[str, str] = {}
    failures = []
    for loaded in requests:
        run = loaded.request.spec.run or loaded.request.metadata.name
        if run in sources:
            why = f"its run {run!r} is that of {sources[run]} too"
            error = BadRequest("two requests with one run", problems=[Problem("metadata.name", why)])
            failures.append((loaded.source, error))
        sources.setdefault(run, loaded.source)
    return failures


def together(failures: Sequence[Failure]) -> TunesmithError:
    """One error with everything that is wrong in several requests."""
    if len(failures) == 1:
        source, error = failures[0]
        return BadRequest(f"{source}: {error.message}", remedy=error.remedy, problems=error.problems)
    problems = [
        replace(problem, path=f"{source}: {problem.path}" if problem.path else source)
        for source, error in failures
        for problem in (error.problems or (Problem("", error.message),))
    ]
    return BadRequest(f"{len(failures)} requests cannot run", problems=problems)
