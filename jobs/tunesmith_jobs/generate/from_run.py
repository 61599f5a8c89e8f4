"""Another run's dataset, copied as it is into this run, with its digest."""

import hashlib

from tunesmith.errors import BadRequest, Gone, Problem
from tunesmith.manifest import MANIFEST, Manifest, Pin, stage_folder
from tunesmith_jobs.stage import Finished, Outcome, Stage
from tunesmith_jobs.storage import NotFound

REPORT = "report.json"


def copy_dataset(stage: Stage) -> Outcome:
    """Copy the newest dataset of the run that `data.from` names; which one is pinned. Raises BadRequest, Gone."""
    reference = stage.spec.data.from_
    assert reference is not None
    run = reference.run or reference.request
    pin = stage.pin("from", lambda: _newest(stage, run))
    path = f"{stage_folder(run, 'generate', pin.detail['key'])}/{MANIFEST}"
    try:
        data = stage.store.read(path)
    except NotFound:
        raise Gone(f"{stage.store.url}/{path} is gone", reason="FromGone", remedy="name a run that still has its dataset") from None
    if hashlib.sha256(data).hexdigest() != pin.revision:
        raise Gone(f"{stage.store.url}/{path} is not what it was when this run first read it", reason="FromChanged")
    other = Finished(stage.store, Manifest.model_validate_json(data), stage.work / "from")
    for name in other.names():
        stage.put_file(name, other.path(name))
    stage.say(f"copied {len(other.names())} files of the dataset {run}/{pin.detail['key']}; its split is kept")
    return Outcome(metrics=other.manifest.metrics, details={**other.manifest.details, "from": f"{run}/{pin.detail['key']}"})


def _newest(stage: Stage, run: str) -> Pin:
    found: list[tuple[Manifest, bytes]] = []
    for entry in stage.store.list(f"{run}/generate/"):
        if entry.path.count("/") == 3 and entry.path.endswith(f"/{MANIFEST}"):
            data = stage.store.read(entry.path)
            found.append((Manifest.model_validate_json(data), data))
    if not found:
        problem = Problem(
            "spec.data.from", "no finished dataset of this run is in the store", run, f"looked below {stage.store.url}/{run}/"
        )
        raise BadRequest("the run to take the dataset from has none", reason="FromNotFound", problems=[problem])
    manifest, data = max(found, key=lambda pair: (pair[0].created, pair[0].key))
    return Pin(
        uri=f"{stage.store.url}/{stage_folder(run, 'generate', manifest.key)}",
        revision=hashlib.sha256(data).hexdigest(),
        size=sum(file.size for file in manifest.files),
        detail={"key": manifest.key},
    )
