"""What every store promises, whatever it is made of.

Paths are relative to the store's root, with `/` between their parts. A path without an object is NotFound. A
store that as a whole cannot be used raises a StoreError that names the bucket or folder; what concerns one
object raises another error of tunesmith.errors.
"""

import contextlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tunesmith.errors import BadRequest, Refused, TryAgain, TunesmithError
from tunesmith.manifest import File


class NotFound(KeyError):
    """There is no object at a path."""


class StoreError(TunesmithError):
    """The store as a whole cannot be used, so the next call would fail as well.

    Raise one of the subclasses.
    """


class StoreAway(StoreError, TryAgain):
    """The store cannot be used now: it is unreachable, busy or full."""

    default_reason = "StoreUnreachable"


class StoreRefused(StoreError, Refused):
    """The credentials do not open the store, or it does not exist."""

    default_reason = "StoreRefused"


class StoreUnusable(StoreError, BadRequest):
    """The store can never be used as it is configured."""

    default_reason = "StoreUnusable"


class UploadDropped(TryAgain):
    """An unfinished upload was removed, usually because another attempt finished first."""

    default_reason = "UploadDropped"


@dataclass(frozen=True)
class Entry:
    """An object of a listing.

    `size`: in bytes.
    `etag`: what the server calls the content; empty in a folder.
    `modified`: seconds since 1970.
    """

    path: str
    size: int
    etag: str = ""
    modified: float = 0.0


class Writer(Protocol):
    """An object that is being streamed.

    `digest` is known once the `with` block has ended without an exception.
    """

    digest: File

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`. The caller may reuse its buffer afterwards."""


class Store(ABC):
    """A place for objects: a bucket's prefix or a folder. All calls are safe from several threads."""

    url: str

    @abstractmethod
    def read(self, path: str) -> bytes:
        """All bytes of an object. Raises NotFound."""

    @abstractmethod
    def read_range(self, path: str, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the end of the object. Raises NotFound."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """Bytes of an object, or None if it does not exist."""

    def read_version(self, path: str, version: str) -> bytes:
        """All bytes of one version of an object. Raises NotFound, and BadRequest if the store keeps none."""
        raise BadRequest(
            f"{self.url}/{path} has no version {version!r}: the store keeps none", remedy="leave it out"
        )

    def state(self, path: str) -> dict[str, str]:  # noqa: ARG002 - only a bucket tells
        """What the store tells content apart by, as it is now: `etag`, and `version` if it keeps versions.

        Empty if the store has nothing of the kind, or no object there.
        """
        return {}

    @abstractmethod
    def create(self, path: str, data: bytes) -> bool:
        """Write an object only if there is none at this path yet: a conditional put.

        Returns True if the object now holds `data` because of this call, even if the answer to the put was
        lost. Returns False if another writer was first.
        """

    def write(self, path: str, data: bytes) -> None:
        """Write an object over any earlier one. Readers see the old or the new object, never a part."""
        with self.writer(path) as out:
            out.write(data)

    @abstractmethod
    def writer(self, path: str) -> AbstractContextManager[Writer]:
        """Stream an object. It appears whole when the block ends; an exception leaves nothing behind.

        The end of the block raises UploadDropped if somebody has called `abort_uploads` meanwhile.
        """

    @abstractmethod
    def upload(self, path: str, source: Path) -> File:
        """Copy a local file to `path`.

        Returns size and sha256 of what was stored, under the last part of `path`.
        """

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, without moving its bytes through this process. Raises NotFound."""

    @abstractmethod
    def download(self, path: str, target: Path, expected: File | None = None) -> File:
        """Copy an object to a local file, whole or not at all.

        Raises NotFound, and Gone if size or sha256 is not `expected`.
        """

    @abstractmethod
    def list(self, prefix: str) -> Iterator[Entry]:
        """Objects below a prefix, in the order of their paths.

        `prefix` ends in `/`; an empty one lists everything.
        """

    @abstractmethod
    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects. It is not an error if one does not exist."""

    @abstractmethod
    def abort_uploads(self, prefix: str) -> None:
        """Drop unfinished uploads below a prefix."""

    def local(self, path: str) -> Path | None:  # noqa: ARG002 - only a folder has local files
        """The object as a local file, to be read and never written. None if the store has no local files."""
        return None

    def probe(self) -> None:
        """Check that the store can be written and that only one writer creates an object.

        Raises a StoreError.
        """
        path = f"tunesmith-probe-{secrets.token_hex(8)}"
        try:
            if not self.create(path, b"first") or self.create(path, b"second"):
                raise self.not_conditional()
        finally:
            with contextlib.suppress(TunesmithError):
                self.delete([path])

    @abstractmethod
    def not_conditional(self) -> StoreUnusable:
        """The error to raise if `create` can succeed twice for one path."""


def path_parts(path: str) -> list[str]:
    """The parts of a path in a store. Raises BadRequest for a path that could lead out of it."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise bad_path(path)
    return parts


def bad_path(path: str) -> BadRequest:
    """The error for a path that a store cannot have."""
    return BadRequest(f"not a path in a store: {path!r}", remedy="give a relative path without `..`")
