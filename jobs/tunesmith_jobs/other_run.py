"""The result of another run in the same store, which a request names with `from`."""

import hashlib

from tunesmith.errors import BadRequest, Gone, Problem
from tunesmith.manifest import MANIFEST, Manifest, Pin, stage_folder
from tunesmith.settings import Reference
from tunesmith.stages import STAGES
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.finished import Finished, parse_manifest
from tunesmith_jobs.storage import NotFound


def result_of(attempt: Attempt, reference: Reference, *, stage: str, path: str) -> Finished:
    """The newest result of a stage in the run that is named. It is pinned for this key.

    `path`: the field that names it, such as `spec.data.from`. Raises BadRequest if the run has no such
    result, Gone if it is no longer what was pinned.
    """
    pin = attempt.pin("from", lambda: _pin(attempt, reference, stage, path))
    place = f"{stage_folder(run_of(reference), stage, pin.detail['key'])}/{MANIFEST}"
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
    manifest = parse_manifest(data, f"{attempt.store.url}/{place}")
    return Finished(attempt.store, manifest, attempt.work / "from")


def run_of(reference: Reference) -> str:
    """The name of the run that a reference means."""
    return reference.run or reference.request


def newest(attempt: Attempt, reference: Reference, *, stage: str, path: str) -> tuple[Manifest, bytes]:
    """The newest finished result of a stage in a run of the same store.

    Returns its manifest, parsed and as it is stored. Raises BadRequest if there is none.
    """
    run = run_of(reference)
    manifests: list[tuple[Manifest, bytes]] = []
    for entry in attempt.store.list(f"{run}/{stage}/"):
        if entry.path.count("/") == 3 and entry.path.endswith(f"/{MANIFEST}"):
            data = attempt.store.read(entry.path)
            manifests.append((parse_manifest(data, f"{attempt.store.url}/{entry.path}"), data))
    if not manifests:
        part = STAGES[stage].part
        why = f"no finished {part.name if part else stage} of this run is in the store"
        problem = Problem(path, why, run, f"looked below {attempt.store.url}/{run}/")
        raise BadRequest(f"run {run} has nothing to take", reason="FromNotFound", problems=[problem])
    return max(manifests, key=lambda pair: (pair[0].created, pair[0].key))


def _pin(attempt: Attempt, reference: Reference, stage: str, path: str) -> Pin:
    manifest, data = newest(attempt, reference, stage=stage, path=path)
    return Pin(
        uri=f"{attempt.store.url}/{stage_folder(run_of(reference), stage, manifest.key)}",
        revision=hashlib.sha256(data).hexdigest(),
        size=sum(file.size for file in manifest.files),
        detail={"key": manifest.key},
    )
