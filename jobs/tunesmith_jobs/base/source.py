"""Where a model's files are read from: one small interface for hub, bucket and folder."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

from tunesmith.errors import BadRequest, Refused
from tunesmith_jobs.base.uri import Place, looks_like_repo
from tunesmith_jobs.storage import NotFound, Store, open_store

THREADS = 4
_SETTLED_NS = 2_000_000_000  # times of a file system may be as coarse as 2 s (FAT)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Entry:
    """A file of a model. `size` in bytes; `state` changes whenever its content does."""

    size: int
    state: str


class Source(Protocol):
    """Files by their path below the model's root. Faults: BadRequest, Gone, Refused, TryAgain, each naming the place."""

    revision: str
    """Commit, where the place itself knows one; empty where the files' digest is the pin."""

    def names(self) -> list[str]:
        """Paths of all files."""

    def entries(self, names: Collection[str]) -> Mapping[str, Entry]:
        """Size and state of some files. Raises KeyError for one that is not there."""

    def read(self, name: str) -> bytes:
        """All bytes of a small file. Raises KeyError if it is not there."""

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Some bytes of a file, fewer at its end. Raises KeyError if it is not there."""

    def fetch(self, names: Collection[str], to: Path) -> Iterator[tuple[str, Path]]:
        """Local copies of the files with their names, as they become ready: in `to`, or wherever they are already."""


def side_by_side(work: Callable[[str], _T], names: Iterable[str]) -> Iterator[tuple[str, _T]]:
    """Name and result of each, as they become ready, a few at a time. After a fault, or if the caller ends, no more are begun."""
    with ThreadPoolExecutor(THREADS) as pool:
        futures = {pool.submit(work, name): name for name in names}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def digest(entries: Mapping[str, Entry]) -> str:
    """sha256 over names, sizes and states."""
    lines = (f"{name}\t{entry.size}\t{entry.state}\n" for name, entry in sorted(entries.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class Folder:
    """A local folder. A file's state is the sha256 of its content."""

    revision = ""

    def __init__(self, place: Place, uri: str) -> None:
        self.root = Path(place.root)
        try:
            if not self.root.is_dir() or (place.file and not (self.root / place.file).is_file()):
                missing = self.root / place.file if self.root.is_dir() else self.root
                path = "check the path (on a cluster, name a hub model or a bucket)"
                meant = f"a hub model is written hf://{uri}" if looks_like_repo(uri) else path
                raise BadRequest(f"there is no model at {missing}", reason="ModelNotFound", remedy=meant)
        except PermissionError as error:
            raise self._refused(error) from error

    def names(self) -> list[str]:
        """Files directly in the folder, and its chat templates."""
        try:
            found = [*self.root.glob("*"), *self.root.glob("additional_chat_templates/*")]
            return sorted(path.relative_to(self.root).as_posix() for path in found if path.is_file())
        except PermissionError as error:
            raise self._refused(error) from error

    def entries(self, names: Collection[str]) -> Mapping[str, Entry]:
        """Size and sha256."""
        return dict(side_by_side(self._entry, names))  # hashing runs outside the interpreter's lock

    def stamp(self, names: Collection[str]) -> str:
        """A digest over what this machine's file system says of the files: as long as it stays, nobody has written to them.

        Empty if one was written so lately that another write could leave the same times. Raises KeyError for a missing file.
        """
        now = time.time_ns()
        lines = [str(self.root.resolve())]
        for name in sorted(names):
            try:
                stat = (self.root / name).stat()
            except FileNotFoundError:
                raise KeyError(name) from None
            except PermissionError as error:
                raise self._refused(error) from error
            if now - max(stat.st_mtime_ns, stat.st_ctime_ns) < _SETTLED_NS:
                return ""
            lines.append(
                f"{name}\t{stat.st_size}\t{stat.st_mtime_ns}\t{stat.st_ctime_ns}\t{stat.st_ino}\t{stat.st_dev}"
            )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _entry(self, name: str) -> Entry:
        path = self.root / name
        try:
            stat = path.stat()
            return Entry(stat.st_size, _sha256(path, stat.st_size, stat.st_mtime_ns, stat.st_ino))
        except FileNotFoundError:
            raise KeyError(name) from None
        except PermissionError as error:
            raise self._refused(error) from error

    def read(self, name: str) -> bytes:
        """All bytes."""
        return self.read_range(name, 0, -1)

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Some bytes."""
        try:
            with (self.root / name).open("rb") as file:
                file.seek(start)
                return file.read(length)
        except FileNotFoundError:
            raise KeyError(name) from None
        except PermissionError as error:
            raise self._refused(error) from error

    def fetch(self, names: Collection[str], to: Path) -> Iterator[tuple[str, Path]]:  # noqa: ARG002 nothing is copied
        """The files where they are."""
        return ((name, self.root / name) for name in names)

    def _refused(self, error: PermissionError) -> Refused:
        return Refused(
            f"{error.filename or self.root} may not be read", remedy="let this user read the model's files"
        )


@lru_cache(maxsize=4096)
def _sha256(path: Path, _size: int, _mtime_ns: int, _inode: int) -> str:
    """sha256 of a file, remembered while its size, time and inode stay."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Bucket:
    """A prefix of a bucket, through the store's own client. A file's state is the server's ETag."""

    revision = ""

    def __init__(self, place: Place) -> None:
        self.store: Store = open_store(place.root)

    def names(self) -> list[str]:
        """All objects below the prefix."""
        return sorted(self._listing())

    def entries(self, names: Collection[str]) -> Mapping[str, Entry]:
        """Size and ETag, as the server has them now."""
        listing = self._listing()
        return {name: listing[name] for name in names}

    def _listing(self) -> dict[str, Entry]:
        return {entry.path: Entry(entry.size, entry.etag) for entry in self.store.list("")}

    def read(self, name: str) -> bytes:
        """All bytes."""
        return self.store.read(name)

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Some bytes."""
        return self.store.read_range(name, start, length)

    def fetch(self, names: Collection[str], to: Path) -> Iterator[tuple[str, Path]]:
        """Downloaded; a file that an earlier attempt left whole is kept."""
        return side_by_side(lambda name: self._download(name, to / name), names)

    def _download(self, name: str, target: Path) -> Path:
        if target.exists() and target.stat().st_size == self.store.size(name):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.store.download(name, target)
        except NotFound:
            raise KeyError(name) from None
        return target
