"""The runs of a store, and all that one of them ever finished, by listings."""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tunesmith.errors import BadRequest
from tunesmith.manifest import MANIFEST, Manifest
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith.stages import ORDER
from tunesmith.wire import SNAPSHOT_FILE
from tunesmith_jobs.finished import read_manifest
from tunesmith_jobs.storage import NotFound, Store

_RUN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


@dataclass
class _Objects:
    """The objects of one run: their paths, and when the oldest of them was written."""

    oldest: float
    paths: list[str] = field(default_factory=list)

    @property
    def are_a_run(self) -> bool:
        """Whether they have a run's name, and a request or a folder of a stage, as other folders have not."""
        if not _RUN.fullmatch(self.paths[0].partition("/")[0]):
            return False
        inner = (path.split("/")[1:] for path in self.paths)
        return any(parts == [SNAPSHOT_FILE] or parts[0] in ORDER for parts in inner)


def all_finished_stages(store: Store, run: str) -> list[Manifest]:
    """Every manifest of a run: in the order of the stages, the newest of each stage first."""
    keys = list(_finished_keys(entry.path for entry in store.list(f"{run}/")))
    manifests = [read_manifest(store, run, stage, key) for stage, key in keys]
    newest_first = sorted(
        (manifest for manifest in manifests if manifest is not None),
        key=lambda manifest: manifest.created,
        reverse=True,
    )
    return sorted(newest_first, key=lambda manifest: ORDER.index(manifest.stage))


def summaries(store: Store) -> list[dict[str, Any]]:
    """All runs by name. This takes one listing, and one small read for each run."""
    runs: dict[str, _Objects] = {}
    for entry in store.list(""):
        run, separator, _ = entry.path.partition("/")
        if separator:
            objects = runs.setdefault(run, _Objects(entry.modified))
            objects.paths.append(entry.path)
            objects.oldest = min(objects.oldest, entry.modified)
    return [_summary(store, run, objects) for run, objects in sorted(runs.items()) if objects.are_a_run]


def _summary(store: Store, run: str, objects: _Objects) -> dict[str, Any]:
    done = sorted(_finished_keys(objects.paths), key=lambda pair: ORDER.index(pair[0]))
    snapshot = _kept_request(store, run)
    wanted = [(entry.name, entry.key) for entry in snapshot.stages] if snapshot else []
    reached = [pair for pair in wanted if pair in done] if snapshot else done
    created = datetime.fromtimestamp(objects.oldest, UTC).replace(tzinfo=None)
    return {
        "run": run,
        "stages": [{"name": stage, "key": key} for stage, key in done],
        "phase": "Complete" if wanted and len(reached) == len(wanted) else "Incomplete",
        "stage": reached[-1][0] if reached else "",
        "progress": f"{len(reached)}/{len(wanted) or '?'}",
        "model": snapshot.spec.model.base if snapshot else "",
        "created": created.isoformat(timespec="seconds"),
    }


def _kept_request(store: Store, run: str) -> Snapshot | None:
    """What the run was last asked for, if the store has it and this release can read it."""
    with contextlib.suppress(NotFound, BadRequest):
        return read_snapshot(store.read(f"{run}/{SNAPSHOT_FILE}").decode("utf-8", "replace"))
    return None


def _finished_keys(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Stage and key of each manifest among the paths."""
    for path in paths:
        match path.split("/"):
            case [_, stage, key, name] if stage in ORDER and name == MANIFEST:
                yield stage, key
