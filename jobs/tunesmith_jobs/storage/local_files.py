"""Local files, written whole or not at all and hashed while they are written."""

import contextlib
import errno
import fcntl
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
_LOCK = f"{_PREFIX}lock"
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


def is_hidden(name: str) -> bool:
    """Whether a name is reserved for unfinished files and locks, so that no object of a store may have it."""
    return name.startswith(_PREFIX)


class UnfinishedFile:
    """A file that is written next to `target`.

    `finish` makes it the target; without that, the end of the `with` block removes it.
    """

    def __init__(self, target: Path) -> None:
        self.place = target.with_name(f"{_PREFIX}{os.getpid()}-{secrets.token_hex(6)}")
        self.digest = File(path=target.name, size=0, sha256="")
        self._target = target
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._out = self.place.open("xb")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`."""
        self._sha256.update(data)
        self._size += self._out.write(data)

    def close(self, *, sync: bool) -> File:
        """End the file; returns its size and sha256. With `sync` it is on the disk afterwards."""
        if self._out.closed:
            return self.digest
        with self._out:
            if sync:
                self._out.flush()
                os.fsync(self._out.fileno())
        self.digest = File(path=self._target.name, size=self._size, sha256=self._sha256.hexdigest())
        return self.digest

    def finish(self, *, sync: bool = False) -> None:
        """End the file and move it to the target, over any earlier one."""
        self.close(sync=sync)
        self.place.replace(self._target)

    def finish_if_absent(self) -> bool:
        """End the file and make it the target only if there is none; returns whether it did."""
        self.close(sync=True)
        try:
            return _put_if_absent(self.place, self._target)
        except FileNotFoundError:
            # Another attempt was first and has already removed this one's unfinished file.
            if not self._target.exists():
                raise
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        try:
            self._out.close()  # flushes, which fails on a full disk
        except OSError:
            if _error is None:
                raise
        finally:
            self.place.unlink(missing_ok=True)


def _put_if_absent(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        # Over NFS a link may have been made although the answer was lost. The file then has two names.
        return source.stat().st_nlink == 2 and source.samefile(target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return _rename_if_absent(source, target)
    return True


def _rename_if_absent(source: Path, target: Path) -> bool:
    """For file systems without hard links: under a lock, which the kernel releases when its holder dies."""
    with target.with_name(_LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return False
        source.rename(target)
        return True


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of files to the disk, where the file system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def file_digest(path: Path) -> File:
    """Size and sha256 of a local file."""
    with path.open("rb") as data:
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
        return File(path=path.name, size=data.tell(), sha256=sha256)


def blocks(source: BinaryIO) -> Iterator[bytes]:
    """The rest of a file, in blocks of bounded size."""
    while block := source.read(BLOCK):
        yield block


def check_digest(actual: File, expected: File | None, place: str) -> None:
    """Raise Gone if what was read at `place` is not what its manifest says."""
    if expected is None or (actual.size, actual.sha256) == (expected.size, expected.sha256):
        return
    raise Gone(
        f"{place} is not what was stored: {actual.size} bytes with sha256 {actual.sha256};"
        f" its manifest says {expected.size} bytes with {expected.sha256}",
        reason="ContentChanged",
        remedy="it was changed or damaged in the store: restore it, or make it again with `rerun`",
    )
