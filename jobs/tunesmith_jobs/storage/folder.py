"""A store in a folder: `file://`.

An object is written next to its place under a name that no listing shows, and then put there in one step: by
a rename, or by a hard link where it must not replace another object. So a process that is killed at any
moment leaves no half object, only an unfinished file, which `abort_uploads` removes.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tunesmith.errors import BadRequest
from tunesmith.manifest import File
from tunesmith_jobs.storage.base import (
    Entry,
    NotFound,
    Store,
    StoreUnusable,
    Writer,
    bad_path,
    path_parts,
)
from tunesmith_jobs.storage.folder_faults import reading, writing
from tunesmith_jobs.storage.local_files import UnfinishedFile, blocks, check_digest, is_hidden, sync_folder

_TRIES = 10  # to begin a file in a folder that others remove whenever it is empty


class FolderStore(Store):
    """Objects are files below a folder, which is made when something is first written."""

    def __init__(self, root: str) -> None:
        self.root = Path(os.path.normpath(root))
        self.url = f"file://{self.root}"

    def read(self, path: str) -> bytes:
        """All bytes of an object."""
        with reading(self.root, path):
            return self._at(path).read_bytes()

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        with reading(self.root, path), self._at(path).open("rb") as data:
            data.seek(start)
            return data.read(length)

    def size(self, path: str) -> int | None:
        """Bytes of an object, or None."""
        place = self._at(path)
        try:
            with reading(self.root, path):
                return place.stat().st_size if place.is_file() else None
        except NotFound:
            return None

    def create(self, path: str, data: bytes) -> bool:
        """Put an object where there is none. It is on the disk when this returns True."""
        target = self._at(path)
        with writing(self.root, path), self._begin(target) as out:
            out.write(data)
            won = out.finish_if_absent()
            if won:
                self._sync_folders(target)
            return won

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[Writer]:
        """Stream an object; it appears when the block ends."""
        target = self._at(path)
        with writing(self.root, path):
            out = self._begin(target)
        with out:
            stream = _Stream(self.root, path, out)
            yield stream
            with writing(self.root, path):
                out.finish(sync=True)
                sync_folder(target.parent)
            stream.digest = out.digest

    def upload(self, path: str, source: Path) -> File:
        """Copy a local file in."""
        with source.open("rb") as data, self.writer(path) as out:
            for block in blocks(data):
                out.write(block)
        return out.digest

    def copy(self, source: str, target: str) -> None:
        """Link the file, or copy it where the file system has no links."""
        with reading(self.root, source):
            data = self._at(source).open("rb")
        with data:
            place = self._at(target)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.unlink(missing_ok=True)
                os.link(self._at(source), place)
                sync_folder(place.parent)
            except OSError:
                with self.writer(target) as out:
                    for block in blocks(data):
                        out.write(block)

    def download(self, path: str, target: Path, expected: File | None = None) -> File:
        """Copy an object out, checked."""
        with reading(self.root, path):
            data = self._at(path).open("rb")
        with data, UnfinishedFile(target) as out:
            for block in blocks(data):
                out.write(block)
            check_digest(out.close(sync=False), expected, f"{self.url}/{path}")
            out.finish()
            return out.digest

    def list(self, prefix: str) -> Iterator[Entry]:
        """Objects below a prefix, in the order of their paths."""
        with contextlib.suppress(NotFound), reading(self.root, prefix):
            for entry in _entries(self._below(prefix), prefix):
                if self._holds(self.root / entry.path):
                    yield entry

    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects, and the folders that are empty afterwards."""
        for path in paths:
            place = self._at(path)
            with writing(self.root, path), contextlib.suppress(NotADirectoryError):
                place.unlink(missing_ok=True)
            self._remove_empty(place.parent)

    def abort_uploads(self, prefix: str) -> None:
        """Remove unfinished files below a prefix: of killed processes, and of an attempt that lost."""
        with writing(self.root, prefix):
            for folder, _, names in os.walk(self._below(prefix), topdown=False):
                for name in filter(is_hidden, names):
                    (Path(folder) / name).unlink(missing_ok=True)
                self._remove_empty(Path(folder))

    def local(self, path: str) -> Path | None:
        """The object's own file."""
        place = self._at(path)
        return place if place.is_file() else None

    def not_conditional(self) -> StoreUnusable:
        """The error for a file system on which two writers can create one file."""
        return StoreUnusable(
            f"in folder {self.root} two writers can create the same file",
            reason="StoreNotConditional",
            remedy="use a folder on another file system",
        )

    def _at(self, path: str) -> Path:
        parts = path_parts(path)
        if any(is_hidden(part) or "\0" in part for part in parts):
            raise bad_path(path)
        place = self.root.joinpath(*parts)
        if not self._holds(place):
            raise BadRequest(
                f"{place} leads out of the store by a symbolic link",
                remedy="put the files themselves there; a link of the whole store's folder may lead anywhere",
            )
        return place

    def _holds(self, place: Path) -> bool:
        """Whether a path is in the folder, wherever links lead."""
        return place.resolve().is_relative_to(self.root.resolve())

    def _below(self, prefix: str) -> Path:
        return self._at(prefix.rstrip("/")) if prefix else self.root

    def _begin(self, target: Path) -> UnfinishedFile:
        for _ in range(_TRIES - 1):
            target.parent.mkdir(parents=True, exist_ok=True)
            # The folder is missing if another process has just deleted the last object in it.
            with contextlib.suppress(FileNotFoundError):
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
        """Sync all folders down to a new file: without them a power cut could lose it."""
        for folder in target.parents:
            sync_folder(folder)
            if folder == self.root:
                return


class _Stream:
    """The writer of an object.

    Its errors are the store's; those of the block around it stay what they are.
    """

    def __init__(self, root: Path, path: str, out: UnfinishedFile) -> None:
        self.digest = out.digest
        self._root = root
        self._path = path
        self._out = out

    def write(self, data: bytes | bytearray | memoryview) -> None:
        with writing(self._root, self._path):
            self._out.write(data)


def _entries(folder: Path, prefix: str) -> Iterator[Entry]:
    with os.scandir(folder) as children:
        # A folder is sorted by its path with the `/`: `a-b` comes before `a/x`.
        entries = sorted(
            (entry.name + "/" * entry.is_dir(follow_symlinks=False), entry)
            for entry in children
            if not is_hidden(entry.name)
        )
    for name, entry in entries:
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            if name.endswith("/"):
                yield from _entries(Path(entry.path), prefix + name)
            elif entry.is_file():
                facts = entry.stat()
                yield Entry(prefix + name, facts.st_size, modified=facts.st_mtime)
