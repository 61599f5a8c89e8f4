"""The result of another run in the same store, which a request names by `from`."""

import hashlib

from tunesmith.errors import BadRequest, Gone, Problem
from tunesmith.manifest import MANIFEST, Manifest, Pin, stage_folder
from tunesmith.settings import Reference
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.finished import Finished, parse_manifest
from tunesmith_jobs.storage import NotFound

_WORDS: dict[str, str] = {"generate": "dataset", "train": "training"}


def result_of(attempt: Attempt, reference: Reference, name: str, path: str) -> Finished:
    """The newest result of stage `name` in the run that `path` (`spec.data.from`) names; which one is pinned for this key.

    Raises BadRequest if the run has none, Gone if it is no longer what was pinned.
    """
    run = reference.run or reference.request
    pin = attempt.pin("from", lambda: _pin(attempt, run, name, path))
    place = f"{stage_folder(run, name, pin.detail['key'])}/{MANIFEST}"
    try:
        data = attempt.store.read(place)
    except NotFound:
        raise Gone(
            f"{attempt.store.url}/{place} is gone",
            reason="FromGone",
            remedy=f"name a run that still has it in {path}",
        ) from None
    if hashlib.sha256(data).hexdigest() != pin.revision:
        raise Gone(
            f"{attempt.store.url}/{place} is not what it was when this run first read it",
            reason="FromChanged",
        )
    return Finished(
        attempt.store, parse_manifest(data, f"{attempt.store.url}/{place}"), attempt.work / "from"
    )


def newest(attempt: Attempt, run: str, name: str, path: str) -> tuple[Manifest, bytes]:
    """The newest finished result of a stage in a run of the same store: its manifest, read and as it is stored. Raises BadRequest."""
    found: list[tuple[Manifest, bytes]] = []
    for entry in attempt.store.list(f"{run}/{name}/"):
        if entry.path.count("/") == 3 and entry.path.endswith(f"/{MANIFEST}"):
            data = attempt.store.read(entry.path)
            found.append((parse_manifest(data, f"{attempt.store.url}/{entry.path}"), data))
    if not found:
        why = f"no finished {_WORDS.get(name, name)} of this run is in the store"
        problem = Problem(path, why, run, f"looked below {attempt.store.url}/{run}/")
        raise BadRequest(f"run {run} has nothing to take", reason="FromNotFound", problems=[problem])
    return max(found, key=lambda pair: (pair[0].created, pair[0].key))


def _pin(attempt: Attempt, run: str, name: str, path: str) -> Pin:
    manifest, data = newest(attempt, run, name, path)
    return Pin(
        uri=f"{attempt.store.url}/{stage_folder(run, name, manifest.key)}",
        revision=hashlib.sha256(data).hexdigest(),
        size=sum(file.size for file in manifest.files),
        detail={"key": manifest.key},
    )
