"""Which files are own data or documents, by their names, and what several are known by: command line and
stages must agree on it. Pure.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ENDINGS: Mapping[str, tuple[str, ...]] = {
    "jsonl": (".jsonl", ".ndjson", ".jsonlines"),
    "json": (".json",),
    "csv": (".csv", ".tsv", ".tab"),
    "parquet": (".parquet", ".pq"),
}
"""How names of files of each form (`data.source.format`) end, in small letters."""
DOCUMENT_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "text": (".txt", ".text"),
    "markdown": (".md", ".markdown"),
    "html": (".html", ".htm", ".xhtml"),
    "pdf": (".pdf",),
}
"""How names of documents of each form end, in small letters."""
SIGNS = "*?["
"""What makes a pattern of a path."""
PACKED = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd")
"""How names of packed files end, behind the ending of the form."""


@dataclass(frozen=True)
class Kind:
    """The kind of files that a field of `data` names. `endings`: of their names, in small letters."""

    field: str
    endings: tuple[str, ...]

    @property
    def path(self) -> str:
        """The field in a request."""
        return f"spec.data.{self.field}"

    def takes(self, name: str) -> bool:
        """Whether a file of a folder is read, by its name relative to the folder, with slashes.

        Hidden ones are a system's own, such as `.git` and `.ipynb_checkpoints`.
        """
        hidden = any(part.startswith(".") for part in name.split("/"))
        return not hidden and unpacked_name(name).lower().endswith(self.endings)


OWN_DATA = Kind("source", sum(ENDINGS.values(), ()))
DOCUMENTS = Kind("documents", sum(DOCUMENT_ENDINGS.values(), ()))


def is_pattern(path: str) -> bool:
    """Whether a path has any of the signs of a pattern."""
    return any(sign in path for sign in SIGNS)


def unpacked_name(name: str) -> str:
    """A file's name without the ending of a packing."""
    return next((name[: -len(ending)] for ending in PACKED if name.lower().endswith(ending)), name)


def digest_of(digests: Sequence[str]) -> str:
    """What several files are known by, from the sha256 of each, in the order of their names: neither where
    they lie nor what they are called is part of it.
    """
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()
