"""Reading a finished stage, for later stages, `fetch` and `deliver`."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from tunesmith.errors import Gone
from tunesmith.manifest import MANIFEST, File, Manifest, stage_folder, why_unreadable
from tunesmith.resolve import Snapshot
from tunesmith_jobs.storage import NotFound, Store
from tunesmith_jobs.storage.local_files import check_digest, file_digest


def read_manifest(store: Store, run: str, stage: str, key: str) -> Manifest | None:
    """The manifest of a finished stage, or None. Raises Gone if something else is in its place."""
    path = f"{stage_folder(run, stage, key)}/{MANIFEST}"
    try:
        data = store.read(path)
    except NotFound:
        return None
    manifest = parse_manifest(data, f"{store.url}/{path}")
    if (manifest.run, manifest.stage, manifest.key) != (run, stage, key):
        found = stage_folder(manifest.run, manifest.stage, manifest.key)
        raise _unreadable(f"{store.url}/{path}", f"it is the manifest of {found}")
    return manifest


def finished_stages(store: Store, run: str, snapshot: Snapshot) -> list[Manifest]:
    """The manifests of a snapshot's stages that are done, in their order.

    Nothing is listed: the keys are known.
    """
    with ThreadPoolExecutor(len(snapshot.stages)) as pool:
        manifests = pool.map(lambda entry: read_manifest(store, run, entry.name, entry.key), snapshot.stages)
        return [manifest for manifest in manifests if manifest is not None]


def parse_manifest(data: bytes, place: str) -> Manifest:
    """The manifest in the bytes that were read at `place`. Raises Gone if they are not a manifest."""
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise _unreadable(place, why_unreadable(error)) from error


def _unreadable(place: str, why: str) -> Gone:
    return Gone(
        f"{place} is not a manifest that this release can read: {why}",
        reason="ManifestUnreadable",
        remedy="use the release that wrote it, or remove it and run the stage again",
    )


class Finished:
    """A finished stage. Every file is checked against its manifest before it is given out."""

    def __init__(self, store: Store, manifest: Manifest, cache: Path) -> None:
        self.store = store
        self.manifest = manifest
        self._cache = cache / manifest.stage / manifest.key

    def names(self) -> list[str]:
        """Paths of all files."""
        return [file.path for file in self.manifest.files]

    def path(self, name: str) -> Path:
        """A checked file, as a local file in a folder that mirrors the attempt's. Raises Gone.

        If the store is a folder, it is a link to the store's own file: never write to it.
        """
        target = self._cache / name
        if target.exists():
            return target
        expected = self._expected(name)
        source = f"{self.manifest.folder}/{name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            stored = self.store.local(source)
            if stored is None:
                self.store.download(source, target, expected)
            else:
                check_digest(file_digest(stored), expected, f"{self.store.url}/{source}")
                with contextlib.suppress(FileExistsError):  # another thread was faster
                    target.symlink_to(stored)
        except (NotFound, FileNotFoundError) as error:
            raise self._gone(name) from error
        return target

    def folder(self, prefix: str = "") -> Path:
        """A local folder with all files below `prefix`, checked.

        `prefix` ends in `/` or is empty. Raises Gone.
        """
        for name in self.names():
            if name.startswith(prefix):
                self.path(name)
        return self._cache / prefix

    def read(self, name: str) -> bytes:
        """All bytes of a file, checked. Raises Gone."""
        return self.path(name).read_bytes()

    def _expected(self, name: str) -> File:
        file = self.manifest.file(name)
        if file is None:
            raise self._gone(name)
        return file

    def _gone(self, name: str) -> Gone:
        return Gone(
            f"{self.store.url}/{self.manifest.folder}/{name} is gone",
            remedy=f"set `rerun: {{from: {self.manifest.stage}, id: <new>}}` to make it again",
        )
