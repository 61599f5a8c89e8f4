"""The files of a model in a store, such as a bucket."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tunesmith_jobs.base.address import Address
from tunesmith_jobs.base.model_files import FileState, in_parallel
from tunesmith_jobs.storage import NotFound, Store, open_store


class StoreFiles:
    """A prefix of a store. A file's state is the store's ETag of it."""

    revision = ""

    def __init__(self, address: Address) -> None:
        self.store: Store = open_store(address.root)

    def names(self) -> list[str]:
        """All objects below the prefix."""
        return sorted(self._listing())

    def states(self, names: Collection[str]) -> Mapping[str, FileState]:
        """Size and ETag, as the store has them now."""
        listing = self._listing()
        return {name: listing[name] for name in names}

    def _listing(self) -> dict[str, FileState]:
        return {entry.path: FileState(entry.size, entry.etag) for entry in self.store.list("")}

    def read(self, name: str) -> bytes:
        """All bytes."""
        return self.store.read(name)

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """Some bytes."""
        return self.store.read_range(name, start, length)

    def fetch(self, names: Collection[str], to: Path) -> Iterator[tuple[str, Path]]:
        """Downloaded copies. A file that an earlier attempt has downloaded whole is kept."""
        return in_parallel(lambda name: self._download(name, to / name), names)

    def _download(self, name: str, target: Path) -> Path:
        if target.exists() and target.stat().st_size == self.store.size(name):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.store.download(name, target)
        except NotFound:
            raise KeyError(name) from None
        return target
