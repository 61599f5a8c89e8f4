"""Copying the parts of a finished run to a local folder. Files that are already there and whole are kept."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.errors import Gone, Refused
from tunesmith.manifest import Manifest
from tunesmith.pace import Pace
from tunesmith.stages import PARTS
from tunesmith_jobs.results import Item, items
from tunesmith_jobs.storage import NotFound, Store
from tunesmith_jobs.storage.folder import FolderStore
from tunesmith_jobs.storage.local_files import file_digest


def fetch_parts(
    store: Store,
    manifests: Mapping[str, Manifest],
    to: Path,
    *,
    run: str,
    parts: Sequence[str],
    progress: bool,
) -> dict[str, Any]:
    """Copy `parts` to folders of their names below `to`; returns what is there now.

    Raises Gone if none is done.
    """
    wanted = {part: items(part, manifests) for part in parts}
    if not any(wanted.values()):
        missing = " and ".join(PARTS[part][0] for part in parts)
        raise Gone(
            f"run {run} has nothing to fetch: {missing} not done",
            reason="NotDone",
            remedy="run it to its end first",
        )
    total = sum(item.file.size for part_items in wanted.values() for item in part_items)
    done = 0
    pace = Pace(time.monotonic)
    answer: dict[str, Any] = {"to": str(to), "parts": {}, "files": [], "kept": 0}
    for part, part_items in wanted.items():
        if part_items:
            answer["parts"][part] = str(to / part)
            FolderStore(str(to)).abort_uploads(f"{part}/")  # the unfinished files of a fetch that was killed
        for item in part_items:
            kept = _fetch_file(store, item, to / part / item.path)
            answer["kept"] += kept
            answer["files"].append(
                {"path": f"{part}/{item.path}", "size": item.file.size, "sha256": item.file.sha256}
            )
            pace.add(0 if kept else item.file.size)
            done += item.file.size
            if progress:
                print(pace.progress(part, done, total).line(), flush=True)
    return answer


def _fetch_file(store: Store, item: Item, target: Path) -> bool:
    """Copy one file, unless it is already there and whole; returns whether it was."""
    try:
        if _is_whole(target, item):
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        store.download(item.source, target, item.file)
    except NotFound as error:
        raise Gone(
            f"{store.url}/{item.source} is gone", remedy=f"make it again: rerun from {item.manifest.stage}"
        ) from error
    except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise Refused(
            f"{target} cannot be written: {error.strerror}",
            reason="FolderRefused",
            remedy="give another folder by --to",
        ) from error
    return False


def _is_whole(target: Path, item: Item) -> bool:
    if not target.is_file() or target.stat().st_size != item.file.size:
        return False
    return file_digest(target).sha256 == item.file.sha256
