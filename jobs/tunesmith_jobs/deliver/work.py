"""The model folder, with evaluate's card and report, at `spec.output`.

`tunesmith-manifest.json` is written there last: while it is missing, the copy is not complete. An older model
at the same place is replaced: its marker is removed first, and those of its files that the new model lacks
before the new marker is written.
"""

import contextlib
import time
from datetime import UTC, datetime

from pydantic import ValidationError

from tunesmith.errors import TryAgain
from tunesmith.manifest import Manifest
from tunesmith.stages import PARTS
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.results import Item, items
from tunesmith_jobs.storage import NotFound, Store, open_store

MARKER = "tunesmith-manifest.json"
_REPORT = PARTS["report"][1].page


def work(attempt: Attempt) -> Outcome:
    """Copy the model; each file is checked when it is read and when it has been written."""
    target = open_store(attempt.spec.output)
    finished = {name: attempt.finished(name) for name in ("merge", "evaluate")}
    wanted = _wanted({name: stage.manifest for name, stage in finished.items()})
    earlier = _marker(target)
    if earlier is None or earlier.key != attempt.key:
        target.delete([MARKER])
        _copy(attempt, target, wanted, finished)
        if earlier is not None:
            new = {item.path for item in wanted}
            target.delete([file.path for file in earlier.files if file.path not in new])
        target.write(MARKER, _manifest(attempt, wanted).to_bytes())
    total = sum(item.file.size for item in wanted)
    attempt.put_bytes(MARKER, _manifest(attempt, wanted).to_bytes())
    attempt.say(f"delivered {len(wanted)} files to {target.url}")
    return Outcome(metrics={"files": len(wanted), "bytes": total}, details={"output": attempt.spec.output})


def _wanted(manifests: dict[str, Manifest]) -> list[Item]:
    """The files to deliver: the model, and the report of its evaluation."""
    report = [item for item in items("report", manifests) if item.path == _REPORT]
    return items("model", manifests) + report


def _copy(attempt: Attempt, target: Store, wanted: list[Item], finished: dict[str, Finished]) -> None:
    total = sum(item.file.size for item in wanted)
    done = 0
    for item in wanted:
        attempt.check_stop()
        attempt.progress(done, total, "bytes", phase="deliver")
        source = finished[item.manifest.stage].path(item.file.path)
        stored = target.upload(item.path, source)
        same = (stored.size, stored.sha256) == (item.file.size, item.file.sha256)
        if not same or target.size(item.path) != item.file.size:
            raise TryAgain(
                f"{target.url}/{item.path} did not arrive whole",
                reason="OutputChanged",
                remedy="run again to copy it once more",
            )
        source.unlink()  # so that one shard at a time takes scratch space, not the whole model
        done += item.file.size
    attempt.progress(total, total, "bytes", phase="deliver")


def _marker(target: Store) -> Manifest | None:
    with contextlib.suppress(NotFound, ValidationError):
        return Manifest.model_validate_json(target.read(MARKER))
    return None


def _manifest(attempt: Attempt, wanted: list[Item]) -> Manifest:
    return Manifest(
        run=attempt.snapshot.run,
        stage=attempt.stage,
        key=attempt.key,
        attempt=attempt.id,
        created=datetime.now(UTC),
        seconds=round(time.monotonic() - attempt.started, 3),
        files=tuple(item.file.model_copy(update={"path": item.path}) for item in wanted),
        inputs=dict(attempt.inputs),
    )
