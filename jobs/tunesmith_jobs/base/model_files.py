"""Where a model's files are read from: one small interface for hub, store and folder."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

THREADS = 4
_T = TypeVar("_T")


@dataclass(frozen=True)
class FileState:
    """A file of a model. `size` in bytes; `state` changes whenever its content does."""

    size: int
    state: str


class ModelFiles(Protocol):
    """Files by their path below the model's root.

    Errors are BadRequest, Gone, Refused and TryAgain, with the place.
    """

    revision: str
    """The commit, if the place itself has one; empty if the pin is the digest of the files."""

    def names(self) -> list[str]:
        """Paths of all files."""

    def states(self, names: Collection[str]) -> Mapping[str, FileState]:
        """Size and state of some files. Raises KeyError for one that is missing."""

    def read(self, name: str) -> bytes:
        """All bytes of a small file. Raises KeyError if it is missing."""

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Some bytes of a file, fewer at its end. Raises KeyError if it is missing."""

    def fetch(self, names: Collection[str], to: Path) -> Iterator[tuple[str, Path]]:
        """Names and local copies of the files, as they become ready: in `to`, or where they already are."""


def in_parallel(work: Callable[[str], _T], names: Iterable[str]) -> Iterator[tuple[str, _T]]:
    """Name and result of each, as they become ready, a few at a time.

    No more are begun after an error, or if the caller stops iterating.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        futures = {pool.submit(work, name): name for name in names}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def digest(states: Mapping[str, FileState]) -> str:
    """sha256 over names, sizes and states."""
    lines = (f"{name}\t{file.size}\t{file.state}\n" for name, file in sorted(states.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
