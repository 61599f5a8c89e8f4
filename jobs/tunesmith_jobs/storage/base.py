"""The small interface that both kinds of store meet: s3:// (s3.py) and file:// (folder.py).

Paths are relative to the store's root, with `/`. Faults come out as the exceptions of tunesmith.errors: TryAgain for what passes
(unreachable, timed out, disk full), Refused for credentials, a missing bucket or a folder that may not be written, each with the
name of the bucket or folder; a path that is not there is NotFound.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tunesmith.manifest import File


class NotFound(KeyError):
    """No object at a path."""


@dataclass(frozen=True)
class Entry:
    """An object of a listing. `size` in bytes; `etag`: what the server says of the content, empty for a folder.

    `modified`: seconds since 1970.
    """

    path: str
    size: int
    etag: str = ""
    modified: float = 0.0


class Writer(Protocol):
    """Where a streamed object goes. `digest` is known once the `with` block has ended well."""

    digest: File

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append; the buffer may be reused as soon as this returns."""


class Store(ABC):
    """A bucket's prefix or a folder. All calls are safe from several threads."""

    url: str

    @abstractmethod
    def read(self, path: str) -> bytes:
        """All bytes of an object. Raises NotFound."""

    @abstractmethod
    def read_range(self, path: str, start: int, length: int) -> bytes:
        """`length` bytes from `start` (fewer at the end). Raises NotFound."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """Bytes of an object, or None if there is none."""

    @abstractmethod
    def create(self, path: str, data: bytes) -> bool:
        """Write an object only if there is none: a conditional put.

        True if it now holds `data` by this call, also when the answer to one's own put was lost and the read-back shows it;
        False if another writer was first.
        """

    @abstractmethod
    def write(self, path: str, data: bytes) -> None:
        """Write an object whole, over any earlier one. Readers see the old or the new, never a part."""

    @abstractmethod
    def writer(self, path: str) -> AbstractContextManager[Writer]:
        """Stream an object (multipart on S3). It appears whole when the block ends; an exception leaves nothing behind."""

    @abstractmethod
    def upload(self, path: str, source: Path) -> File:
        """Copy a local file in. Returns size and sha256 of what was stored (`path` of the result is the last part)."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Make `target` an object with the content of `source`, without moving its bytes through here. Raises NotFound."""

    @abstractmethod
    def download(self, path: str, target: Path, expected: File | None = None) -> File:
        """Copy an object to a local file, whole or not at all. Raises NotFound; Gone if it is not `expected` (size, sha256)."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[Entry]:
        """Objects below a prefix that ends in `/` (or all, for an empty one), in the order of their paths."""

    @abstractmethod
    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error."""

    @abstractmethod
    def abort_uploads(self, prefix: str) -> None:
        """Drop unfinished uploads below a prefix."""

    def local(self, path: str) -> Path | None:  # noqa: ARG002 - only folders have a use for it
        """The object as a local file, if the store is a folder: to be read, never written."""
        return None

    @abstractmethod
    def probe(self) -> None:
        """Check that the store can be written and honours conditional puts. Raises what is wrong, with the bucket or folder."""
