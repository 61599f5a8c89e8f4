"""A store in a folder: `file://`.

An object is written beside its place under a name that no listing shows, and then put there in one step: by a rename, or by a hard
link where it must not replace another. So a process that is killed at any moment leaves no half object, only an unfinished file,
which `abort_uploads` removes.
"""

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from tunesmith.errors import BadRequest, Refused, TryAgain, TunesmithError
from tunesmith.manifest import File
from tunesmith_jobs.storage.base import Entry, NotFound, Store, Writer
from tunesmith_jobs.storage.local import UnfinishedFile, blocks, check, is_hidden

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_SUCH_PLACE = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EEXIST)
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_LOCK = ".tunesmith-lock"


class FolderStore(Store):
    """Objects are files below a folder, which is made when something is first written."""

    def __init__(self, root: str) -> None:
        self.root = Path(os.path.normpath(root))
        self.url = f"file://{self.root}"

    def read(self, path: str) -> bytes:
        """All bytes of an object."""
        with self._reading(path):
            return self._at(path).read_bytes()

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        with self._reading(path), self._at(path).open("rb") as data:
            data.seek(start)
            return data.read(length)

    def size(self, path: str) -> int | None:
        """Bytes of an object, or None."""
        place = self._at(path)
        try:
            with self._reading(path):
                return place.stat().st_size if place.is_file() else None
        except NotFound:
            return None

    def create(self, path: str, data: bytes) -> bool:
        """Put an object where there is none. It is on the disk when this returns True."""
        target = self._at(path)
        with self._writing(path), self._begin(target) as out:
            out.write(data)
            out.close(sync=True)
            try:
                won = _put_if_absent(out.place, target)
            except FileNotFoundError:
                # Another attempt won and has swept this one's unfinished file away.
                if not target.exists():
                    raise
                return False
            if won:
                self._sync_folders(target)
            return won

    def write(self, path: str, data: bytes) -> None:
        """Put an object over any earlier one."""
        with self.writer(path) as out:
            out.write(data)

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[Writer]:
        """Stream an object; it appears when the block ends."""
        target = self._at(path)
        with self._writing(path):
            out = self._begin(target)
        with out:
            stream = _Stream(self, path, out)
            yield stream
            with self._writing(path):
                out.finish(sync=True)
                _sync_folder(target.parent)
            stream.digest = out.digest

    def upload(self, path: str, source: Path) -> File:
        """Copy a local file in."""
        with source.open("rb") as data, self.writer(path) as out:
            for block in blocks(data):
                out.write(block)
        return out.digest

    def copy(self, source: str, target: str) -> None:
        """Link the file, or copy it where the file system has no links."""
        with self._reading(source):
            data = self._at(source).open("rb")
        with data:
            place = self._at(target)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.unlink(missing_ok=True)
                os.link(self._at(source), place)
                _sync_folder(place.parent)
            except OSError:
                with self.writer(target) as out:
                    for block in blocks(data):
                        out.write(block)

    def download(self, path: str, target: Path, expected: File | None = None) -> File:
        """Copy an object out, checked."""
        with self._reading(path):
            data = self._at(path).open("rb")
        with data, UnfinishedFile(target) as out:
            for block in blocks(data):
                out.write(block)
            check(out.close(sync=False), expected, f"{self.url}/{path}")
            out.finish()
            return out.digest

    def list(self, prefix: str) -> Iterator[Entry]:
        """Objects below a prefix, in the order of their paths."""
        folder = self._at(prefix.rstrip("/")) if prefix else self.root
        with contextlib.suppress(NotFound), self._reading(prefix):
            yield from _entries(folder, prefix)

    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects, and folders that are empty then."""
        for path in paths:
            place = self._at(path)
            with self._writing(path), contextlib.suppress(NotADirectoryError):
                place.unlink(missing_ok=True)
            self._remove_empty(place.parent)

    def abort_uploads(self, prefix: str) -> None:
        """Remove unfinished files below a prefix: what killed processes left, and what a losing attempt is still writing."""
        top = self._at(prefix.rstrip("/")) if prefix else self.root
        with self._writing(prefix):
            for folder, _, names in os.walk(top, topdown=False):
                for name in filter(is_hidden, names):
                    (Path(folder) / name).unlink(missing_ok=True)
                self._remove_empty(Path(folder))

    def local(self, path: str) -> Path | None:
        """The object's own file."""
        place = self._at(path)
        return place if place.is_file() else None

    def probe(self) -> None:
        """Write, look for a second winner, and remove."""
        path = f"tunesmith-probe-{secrets.token_hex(8)}"
        try:
            if not self.create(path, b"first") or self.create(path, b"second"):
                raise BadRequest(
                    f"in folder {self.root} two writers can win one file",
                    reason="StoreNotConditional",
                    remedy="use a folder of another file system",
                )
        finally:
            with contextlib.suppress(TunesmithError):
                self.delete([path])

    def _at(self, path: str) -> Path:
        parts = path.split("/")
        if any(part in {"", ".", ".."} or is_hidden(part) or "\0" in part for part in parts):
            raise BadRequest(f"not a path in a store: {path!r}", remedy="give a relative path without `..`")
        return self.root.joinpath(*parts)

    def _begin(self, target: Path) -> UnfinishedFile:
        for _ in range(9):
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(
                FileNotFoundError
            ):  # a delete at the same time removed the folder, which was empty
                return UnfinishedFile(target)
        return UnfinishedFile(target)

    def _remove_empty(self, folder: Path) -> None:
        while self.root in folder.parents:
            try:
                with contextlib.suppress(FileNotFoundError):
                    folder.rmdir()
            except OSError:  # not empty
                return
            folder = folder.parent

    def _sync_folders(self, target: Path) -> None:
        """A new file is only safe from a power cut with the folders that lead to it."""
        for folder in target.parents:
            _sync_folder(folder)
            if folder == self.root:
                return

    @contextlib.contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound(f"{self.url}/{path}") from error
        except OSError as error:
            raise fault(error, self.root) from error

    @contextlib.contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise TryAgain(
                f"the upload of {self.url}/{path} was dropped",
                reason="UploadDropped",
                remedy="another attempt finished first, or the folder was removed; run again",
            ) from error
        except OSError as error:
            raise fault(error, self.root) from error


class _Stream:
    """A writer whose faults are the store's, while those of the block around it stay what they are."""

    def __init__(self, store: FolderStore, path: str, out: UnfinishedFile) -> None:
        self.digest = out.digest
        self._store, self._path, self._out = store, path, out

    def write(self, data: bytes | bytearray | memoryview) -> None:
        with self._store._writing(self._path):  # noqa: SLF001 - one module, two halves of one thing
            self._out.write(data)


def fault(error: OSError, root: Path) -> TunesmithError:
    """What an operating system's error at a store's folder means."""
    why = error.strerror or str(error)
    if error.errno in _FULL:
        return TryAgain(
            f"the disk of folder {root} is full: {why}",
            reason="DiskFull",
            remedy="free space there, then run again",
        )
    if error.errno in _NOT_ALLOWED:
        at = f" at {error.filename}" if error.filename else ""
        return Refused(
            f"folder {root} cannot be used{at}: {why}",
            reason="StoreRefused",
            remedy="give yourself the right to write there",
        )
    if error.errno in _NO_SUCH_PLACE:
        return BadRequest(
            f"folder {root} cannot hold a store: {why}: {error.filename}",
            reason="StoreUnusable",
            remedy="use another folder",
        )
    return TryAgain(
        f"folder {root} cannot be reached: {why}",
        reason="StoreUnreachable",
        remedy="see that its disk is there, then run again",
    )


def _put_if_absent(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileExistsError:
        # Over NFS a link may have been made though its answer was lost; then the file has two names.
        return source.stat().st_nlink == 2 and source.samefile(target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return _rename_if_absent(source, target)
    return True


def _rename_if_absent(source: Path, target: Path) -> bool:
    """For file systems without hard links: a lock that the kernel gives back when its holder dies."""
    with target.with_name(_LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return False
        source.rename(target)
        return True


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _entries(folder: Path, prefix: str) -> Iterator[Entry]:
    with os.scandir(folder) as found:
        # A folder sorts as its path does, with the `/`: `a-b` comes before `a/x`.
        entries = sorted(
            (entry.name + "/" * entry.is_dir(), entry) for entry in found if not is_hidden(entry.name)
        )
    for name, entry in entries:
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            if name.endswith("/"):
                yield from _entries(Path(entry.path), prefix + name)
            elif entry.is_file():
                facts = entry.stat()
                yield Entry(prefix + name, facts.st_size, modified=facts.st_mtime)
