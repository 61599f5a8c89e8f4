"""Local files: written whole or not at all, hashed on the way."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tunesmith.errors import Gone
from tunesmith.manifest import File

BLOCK = 1 << 20  # bytes that are copied at a time
_PREFIX = ".tunesmith-"


def is_hidden(name: str) -> bool:
    """Whether a file name is one that no object of a store may have: unfinished files and locks do."""
    return name.startswith(_PREFIX)


class UnfinishedFile:
    """A file written beside `target`, which it becomes by `finish`; without that, the end of the `with` block removes it."""

    def __init__(self, target: Path) -> None:
        self.place = target.with_name(f"{_PREFIX}{os.getpid()}-{secrets.token_hex(6)}")
        self.digest = File(path=target.name, size=0, sha256="")
        self._target = target
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._out = self.place.open("xb")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append."""
        self._sha256.update(data)
        self._size += self._out.write(data)

    def close(self, *, sync: bool) -> File:
        """End the file, on the disk with `sync`; returns its size and sha256."""
        if self._out.closed:
            return self.digest
        with self._out:
            if sync:
                self._out.flush()
                os.fsync(self._out.fileno())
        self.digest = File(path=self._target.name, size=self._size, sha256=self._sha256.hexdigest())
        return self.digest

    def finish(self, *, sync: bool = False) -> None:
        """End the file and put it at its place, over any earlier one."""
        self.close(sync=sync)
        self.place.replace(self._target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        try:
            self._out.close()  # flushes, which a full disk refuses
        except OSError:
            if _error is None:
                raise
        finally:
            self.place.unlink(missing_ok=True)


def file_digest(path: Path) -> File:
    """Size and sha256 of a local file."""
    with path.open("rb") as data:
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
        return File(path=path.name, size=data.tell(), sha256=sha256)


def blocks(source: BinaryIO) -> Iterator[bytes]:
    """What is left of a file, in pieces of bounded size."""
    while block := source.read(BLOCK):
        yield block


def check(found: File, expected: File | None, place: str) -> None:
    """Raise Gone if a file is not what its manifest says."""
    if expected is None or (found.size, found.sha256) == (expected.size, expected.sha256):
        return
    raise Gone(
        f"{place} is not what was stored: {found.size} bytes with sha256 {found.sha256};"
        f" its manifest says {expected.size} bytes with {expected.sha256}",
        reason="ContentChanged",
        remedy="it was changed or damaged in the store: restore it, or make it again with `rerun`",
    )
