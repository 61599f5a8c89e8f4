"""The files of a model in a local folder."""

import contextlib
import hashlib
import time
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from tunesmith.errors import BadRequest, Refused
from tunesmith_jobs.base.address import Address, looks_like_repo
from tunesmith_jobs.base.model_files import FileState, in_parallel

_SETTLED_NS = 2_000_000_000  # the times of a file system may be as coarse as 2 s (FAT)


class FolderFiles:
    """A local folder. A file's state is the sha256 of its content."""

    revision = ""

    def __init__(self, address: Address, uri: str) -> None:
        self.root = Path(address.root)
        try:
            missing = self._missing(address)
        except PermissionError as error:
            raise self._refused(error) from error
        if missing is not None:
            path = "check the path (on a cluster, name a hub model or a bucket)"
            raise BadRequest(
                f"there is no model at {missing}",
                reason="ModelNotFound",
                remedy=f"a hub model is written hf://{uri}" if looks_like_repo(uri) else path,
            )

    def _missing(self, address: Address) -> Path | None:
        """The part of the address that does not exist."""
        if not self.root.is_dir():
            return self.root
        file = self.root / address.file
        return file if address.file and not file.is_file() else None

    def names(self) -> list[str]:
        """Files directly in the folder, and its chat templates."""
        try:
            paths = [*self.root.glob("*"), *self.root.glob("additional_chat_templates/*")]
            return sorted(path.relative_to(self.root).as_posix() for path in paths if path.is_file())
        except PermissionError as error:
            raise self._refused(error) from error

    def states(self, names: Collection[str]) -> Mapping[str, FileState]:
        """Size and sha256."""
        return dict(in_parallel(self._state, names))  # hashing releases the interpreter's lock

    def stamp(self, names: Collection[str]) -> str:
        """A digest of the files' sizes, times and inodes: while it stays, nobody has written to them.

        It is empty if a file was written so recently that another write could leave the same times. Raises
        KeyError for a missing file.
        """
        now = time.time_ns()
        lines = [str(self.root.resolve())]
        for name in sorted(names):
            with self._reading(name):
                stat = (self.root / name).stat()
            if now - max(stat.st_mtime_ns, stat.st_ctime_ns) < _SETTLED_NS:
                return ""
            facts = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)
            lines.append("\t".join([name, *map(str, facts)]))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _state(self, name: str) -> FileState:
        path = self.root / name
        with self._reading(name):
            stat = path.stat()
            times = (stat.st_mtime_ns, stat.st_ctime_ns)
            return FileState(stat.st_size, _sha256(path, stat.st_size, times, stat.st_ino))

    def read(self, name: str) -> bytes:
        """All bytes."""
        return self.read_range(name, 0, -1)

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Some bytes."""
        with self._reading(name), (self.root / name).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def fetch(self, names: Collection[str], to: Path) -> Iterator[tuple[str, Path]]:  # noqa: ARG002 nothing is copied
        """The files where they are."""
        return ((name, self.root / name) for name in names)

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise KeyError(name) from None
        except PermissionError as error:
            raise self._refused(error) from error

    def _refused(self, error: PermissionError) -> Refused:
        return Refused(
            f"{error.filename or self.root} may not be read", remedy="let this user read the model's files"
        )


@lru_cache(maxsize=4096)
def _sha256(path: Path, _size: int, _times: tuple[int, int], _inode: int) -> str:
    """sha256 of a file, remembered while its size, times and inode stay."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
