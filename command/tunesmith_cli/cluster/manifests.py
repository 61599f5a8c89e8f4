"""Requests in files, to be sent to a cluster as they stand: read and checked here first, all that is wrong in all of them at once."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.documents import read_documents
from tunesmith.errors import BadRequest, Problem, Usage
from tunesmith.request import TrainingRequest, parse, without_nulls
from tunesmith_cli.local.requests import laid_over, parse_set


@dataclass(frozen=True)
class Manifest:
    """A document that was read, and the request in it. `source`: the file, for messages. Relative paths stay as they are."""

    document: dict[str, Any]
    request: TrainingRequest
    source: str

    def namespace(self, wanted: str, default: str) -> str:
        """Where it goes: its own namespace, else `wanted` (-n), else `default`. Raises Usage if it says another one than `wanted`."""
        own = str((self.document.get("metadata") or {}).get("namespace") or "")
        if own and wanted and own != wanted:
            raise Usage(
                f"{self.source}: the request says namespace {own}, and -n says {wanted}",
                remedy="leave out one of them",
            )
        return own or wanted or default


def read_manifests(files: Sequence[str], sets: Sequence[str] = ()) -> list[Manifest]:
    """Every request in the files (`-`: standard input), in order. Raises one BadRequest for all of them."""
    overrides = [parse_set(text) for text in sets]
    found: list[Manifest] = []
    problems: list[Problem] = []
    for file in files:
        try:
            documents = read_documents(_text(file), file)
        except BadRequest as error:
            problems += [Problem(one.path, one.why) for one in error.problems]
            continue
        if not documents:
            problems.append(Problem(file, "holds no request"))
        for number, document in enumerate(documents, 1):
            place = file if len(documents) == 1 else f"{file}, document {number}"
            try:
                found.append(_manifest(document, place, overrides))
            except BadRequest as error:
                problems += [
                    Problem(f"{place}: {one.path}".rstrip(": "), one.why, one.value, one.remedy)
                    for one in error.problems
                ]
    if problems:
        raise BadRequest(
            f"nothing was sent: {len(problems)} problem{'s' * (len(problems) != 1)}", problems=problems
        )
    return found


def _manifest(document: Any, place: str, overrides: Sequence[tuple[str, Any]]) -> Manifest:
    request = parse(document)  # first as it is: --set is laid over something that is a request in form
    if overrides:
        document = without_nulls(document)
        for path, value in overrides:
            document["spec"] = laid_over(document["spec"], path.split("."), value, path)
        request = parse(document)
    return Manifest({name: value for name, value in document.items() if name != "status"}, request, place)


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Usage(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadRequest(
            "not readable",
            problems=[Problem(file, f"no text in UTF-8: {error.reason} at byte {error.start}")],
        ) from error
