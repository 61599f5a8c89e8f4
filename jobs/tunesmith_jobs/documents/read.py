"""The passages of documents, for generate, its preflight and whoever looks before anything is paid for."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.data_files import DOCUMENTS
from tunesmith.errors import BadData, Problem
from tunesmith.settings import Documents
from tunesmith_jobs.documents.block import Read, Unreadable
from tunesmith_jobs.documents.boilerplate import without_repeated
from tunesmith_jobs.documents.forms import read_document
from tunesmith_jobs.documents.passages import Passage, passages_of
from tunesmith_jobs.own_data.fetch import Fetched, check_digest, fetch

_FEW = 5  # files named in the findings
_SHOWN = 20  # files named in an error
MANY = 10  # rows of one passage, beyond which they tend to repeat each other


@dataclass(frozen=True)
class DocumentsRead:
    """The passages of documents. `files`: how many have any; `findings`: how they were read, in lines."""

    passages: tuple[Passage, ...]
    files: int
    findings: tuple[str, ...]


def documents_in(documents: Documents) -> DocumentsRead:
    """What is at a place now. Raises BadData for what cannot be read, SourceMismatch for other content."""
    fetched = fetch(documents)
    check_digest(documents, fetched.digest)
    return read_documents(fetched, documents)


def read_documents(fetched: Fetched, documents: Documents) -> DocumentsRead:
    """The passages of files. Raises BadData that names every file that cannot be read."""
    read: list[tuple[str, Read]] = []
    problems: list[Problem] = []
    for file in fetched.files:
        try:
            read.append((file.name, read_document(file, documents)))
        except Unreadable as error:
            problems.append(Problem(file.name, str(error), remedy=error.remedy))
        except BadData as error:
            problems += [
                Problem(f"{file.name}: {each.path}", each.why, each.value, each.remedy)
                for each in error.problems
            ]
    if problems:
        raise _unreadable(documents, problems)
    kept, repeated = without_repeated([each.blocks for _, each in read])
    passages = passages_of([(name, blocks) for (name, _), blocks in zip(read, kept, strict=True)])
    if not passages:
        problem = Problem(f"{DOCUMENTS.path}.uri", "has no text", documents.uri, "give files that have text")
        raise BadData("the documents have no text", reason="BadDocuments", problems=[problem])
    files = len({passage.document for passage in passages})
    return DocumentsRead(tuple(passages), files, _findings(fetched, read, repeated, len(passages)))


def too_few(examples: int, passages: int) -> str:
    """What is probably not meant of so many rows about so few passages; empty if nothing is."""
    if examples <= MANY * passages:
        return ""
    return (
        f"{examples} examples of {passages} passage{'s' * (passages != 1)} are more than {MANY} of each, "
        "which tend to repeat each other; give more documents, or ask for fewer examples"
    )


def _findings(
    fetched: Fetched, read: Sequence[tuple[str, Read]], repeated: int, passages: int
) -> tuple[str, ...]:
    lines = [f"{name}: {each.form}" for name, each in read[:_FEW]]
    if len(read) > _FEW:
        lines.append(f"and {len(read) - _FEW} more files")
    lines += fetched.notes
    lines += [f"{name}: {note}" for name, each in read for note in each.notes]
    lines += [f"{name}: has no text" for name, each in read if not each.blocks]
    if repeated:
        lines.append(f"paragraphs that many of the files have, and that are read once: {repeated}")
    lines.append(f"{passages} passage{'s' * (passages != 1)} to write about")
    return tuple(lines)


def _unreadable(documents: Documents, problems: Sequence[Problem]) -> BadData:
    shown = list(problems[:_SHOWN])
    if len(problems) > _SHOWN:
        shown.append(Problem(documents.uri, f"and {len(problems) - _SHOWN} more"))
    count = f"{len(problems)} file{'s' * (len(problems) != 1)}"
    return BadData(f"{count} of the documents cannot be read", reason="BadDocuments", problems=shown)
