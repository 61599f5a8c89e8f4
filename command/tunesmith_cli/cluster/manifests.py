"""Requests in files, which are sent to a cluster as they stand, after they were read and checked here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.documents import read_documents
from tunesmith.errors import BadRequest, Problem, Usage
from tunesmith.request import TrainingRequest, parse, without_nulls
from tunesmith_cli.local.request_files import document_name, file_text
from tunesmith_cli.local.set_option import laid_over, parse_set


@dataclass(frozen=True)
class Manifest:
    """A document that was read, and the request in it.

    `source`: the file, for messages. Relative paths stay as they are.
    """

    document: dict[str, Any]
    request: TrainingRequest
    source: str

    def namespace(self, wanted: str, default: str) -> str:
        """Where it goes: its own namespace, else `wanted` (-n), else `default`.

        Raises Usage if the document and -n name different ones.
        """
        named = str((self.document.get("metadata") or {}).get("namespace") or "")
        if named and wanted and named != wanted:
            raise Usage(
                f"{self.source}: the request says namespace {named}, and -n says {wanted}",
                remedy="leave out one of them",
            )
        return named or wanted or default


def read_manifests(files: Sequence[str], sets: Sequence[str] = ()) -> list[Manifest]:
    """Every request in the files (`-`: standard input), in order. Raises one BadRequest for all of them."""
    overrides = [parse_set(text) for text in sets]
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    for file in files:
        try:
            documents = read_documents(file_text(file), file)
        except BadRequest as error:
            problems += [Problem(problem.path, problem.why) for problem in error.problems]
            continue
        if not documents:
            problems.append(Problem(file, "holds no request"))
        for number, document in enumerate(documents, 1):
            source = document_name(file, number, len(documents))
            try:
                manifests.append(_manifest(document, source, overrides))
            except BadRequest as error:
                problems += [_placed(problem, source) for problem in error.problems]
    if problems:
        raise BadRequest(
            f"nothing was sent: {len(problems)} problem{'s' * (len(problems) != 1)}", problems=problems
        )
    return manifests


def _placed(problem: Problem, source: str) -> Problem:
    """The problem with the document that it is in."""
    path = f"{source}: {problem.path}".rstrip(": ")
    return Problem(path, problem.why, problem.value, problem.remedy)


def _manifest(document: Any, source: str, overrides: Sequence[tuple[str, Any]]) -> Manifest:
    request = parse(document)  # first as it is: --set is laid over something that is a request in form
    if overrides:
        document = without_nulls(document)
        for path, value in overrides:
            document["spec"] = laid_over(document["spec"], path.split("."), value, path)
        request = parse(document)
    return Manifest({name: value for name, value in document.items() if name != "status"}, request, source)
