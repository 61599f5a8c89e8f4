"""Requests in files of this machine: several documents, `--set`, and paths relative to the file."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.documents import read_documents
from tunesmith.errors import BadRequest, Problem, Usage
from tunesmith.plan import snapshot
from tunesmith.profile import Profile
from tunesmith.request import TrainingRequest, parse, refused
from tunesmith.resolve import BUILT_IN, Snapshot, resolve
from tunesmith.settings import Teacher
from tunesmith_cli.local.environment import ENVIRONMENT
from tunesmith_cli.local.invalid import Failure, Invalid
from tunesmith_cli.local.local_inputs import with_inputs
from tunesmith_cli.local.set_option import laid_over, parse_set

SET = "--set"  # provenance of a value that the command line gave
STDIN = "-"  # as a file on the command line


@dataclass(frozen=True)
class LoadedRequest:
    """A request that was read. `source`: its file, for messages; `overridden`: paths that `--set` gave."""

    request: TrainingRequest
    source: str
    overridden: frozenset[str] = frozenset()


def read_requests(
    files: Sequence[str], sets: Sequence[str] = (), *, here: bool = True
) -> list[LoadedRequest]:
    """Every request in the files (`-`: standard input), in order.

    `here`: they are to run on this machine, and so are what they read of it. Raises one Invalid with
    everything that is wrong in all of them.
    """
    overrides = [parse_set(text) for text in sets]
    requests: list[LoadedRequest] = []
    failures: list[Failure] = []
    if files.count(STDIN) > 1:
        raise Usage("standard input can be read once, and - is given twice")
    for file in files:
        name = _named(file)
        try:
            documents = read_documents(file_text(file), name)
        except (BadRequest, Usage) as error:
            failures.append((name, error))
            continue
        if not documents:
            failures.append((name, BadRequest("holds no request")))
        folder = Path.cwd() if file == STDIN else Path(file).absolute().parent
        for number, document in enumerate(documents, 1):
            source = document_name(name, number, len(documents))
            try:
                requests.append(_loaded(document, source, folder if here else None, overrides))
            except BadRequest as error:
                failures.append((source, error))
    failures += _sharing_a_run(requests)
    if failures:
        raise Invalid(failures)
    return requests


def file_text(file: str) -> str:
    """Text of a file (`-`: standard input). Raises Usage for one that is not readable, else BadRequest."""
    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise Usage(f"cannot read {_named(file)}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        why = f"is not text in UTF-8: {error.reason} at byte {error.start}"
        raise BadRequest("not readable", problems=[Problem(_named(file), why)]) from error


def _named(file: str) -> str:
    """What messages call a file."""
    return "standard input" if file == STDIN else file


def document_name(file: str, number: int, count: int) -> str:
    """What messages call a document: its file, and its number if the file holds several."""
    return file if count == 1 else f"{file}, document {number}"


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


def _loaded(
    document: Any, source: str, folder: Path | None, overrides: Sequence[tuple[str, Any]]
) -> LoadedRequest:
    """The request in a document. `folder`: what paths are relative to; None: they are not of this machine.

    Raises BadRequest with everything that is wrong with it.
    """
    missing: list[Problem] = []
    if isinstance(document, Mapping) and isinstance(spec := document.get("spec"), Mapping):
        for path, value in overrides:
            spec = laid_over(spec, path.split("."), value, path)
        if folder is not None:
            spec, missing = with_inputs(spec, folder)
        document = {**document, "spec": spec}
    overridden = frozenset(path for path, _ in overrides)
    try:
        request = parse(document)
        resolve(request)
    except BadRequest as error:
        problems = [_naming_set(problem, overridden) for problem in error.problems]
        if missing:
            raise refused(document, [*problems, *missing]) from error
        raise BadRequest(
            error.message, reason=error.reason, remedy=error.remedy, problems=problems
        ) from error
    if missing:
        raise refused(document, missing)
    return LoadedRequest(request, source, overridden)


def _naming_set(problem: Problem, overridden: frozenset[str]) -> Problem:
    """The problem, which says so if its value was given by --set."""
    if not _is_overridden(problem.path.removeprefix("spec."), overridden):
        return problem
    return replace(problem, path=f"{problem.path} (given by --set)")


def _sharing_a_run(requests: Sequence[LoadedRequest]) -> list[Failure]:
    """Requests that would share a run with an earlier one."""
    sources: dict[str, str] = {}
    failures: list[Failure] = []
    for loaded in requests:
        run = loaded.request.spec.run or loaded.request.metadata.name
        if run in sources:
            why = f"its run {run!r} is that of {sources[run]} too"
            error = BadRequest("two requests with one run", problems=[Problem("metadata.name", why)])
            failures.append((loaded.source, error))
        sources.setdefault(run, loaded.source)
    return failures
