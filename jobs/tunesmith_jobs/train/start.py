"""The adapter that training starts from, when `training.from` names another run."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tunesmith.errors import BadRequest, Gone, Problem
from tunesmith.manifest import MANIFEST, Manifest, Pin, stage_folder
from tunesmith_jobs.stage import Finished, Stage
from tunesmith_jobs.storage import NotFound
from tunesmith_jobs.train import adapter


def adapter_to_start_from(stage: Stage, base: Pin) -> Finished | None:
    """The newest finished training of the run that `training.from` names, which is pinned; None without one.

    Raises BadRequest if there is none or if it is of another base model, Gone if it is not what was pinned.
    """
    reference = stage.spec.training.from_
    if reference is None:
        return None
    run = reference.run or reference.request
    pin = stage.pin("from", lambda: _newest(stage, run))
    path = f"{stage_folder(run, 'train', pin.detail['key'])}/{MANIFEST}"
    try:
        data = stage.store.read(path)
    except NotFound:
        raise Gone(f"{stage.store.url}/{path} is gone", reason="FromGone", remedy="name a run that still has its adapter") from None
    if hashlib.sha256(data).hexdigest() != pin.revision:
        raise Gone(f"{stage.store.url}/{path} is not what it was when this run first read it", reason="FromChanged")
    manifest = Manifest.model_validate_json(data)
    other = manifest.pins["base"]
    if other.revision != base.revision:
        raise BadRequest(
            "the adapter to start from belongs to another base model",
            reason="AdapterForOtherModel",
            problems=[
                Problem("spec.training.from", f"was trained on {other.uri} at {other.revision}, this run on {base.uri} at {base.revision}")
            ],
            remedy="set model.base to that model and revision, or leave training.from out",
        )
    return Finished(stage.store, manifest, stage.work / "from")


def load_start(model: Any, other: Finished) -> None:
    """Load the adapter of another training. Raises BadRequest if its shape or scale differs from the one to train."""
    config = json.loads(other.read(f"adapter/{adapter.CONFIG}"))
    if found := adapter.differences(model.peft_config["default"].to_dict(), config):
        raise BadRequest(
            "the adapter to start from is shaped otherwise than the one to train",
            reason="AdapterDoesNotFit",
            problems=found,
            remedy="train with the same loraR, loraAlpha, loraTargetModules, useDora and useRslora as the run in training.from",
        )
    path: Path = other.path(f"adapter/{adapter.WEIGHTS}")
    adapter.load(model, path)


def _newest(stage: Stage, run: str) -> Pin:
    found: list[tuple[Manifest, bytes]] = []
    for entry in stage.store.list(f"{run}/train/"):
        if entry.path.count("/") == 3 and entry.path.endswith(f"/{MANIFEST}"):
            data = stage.store.read(entry.path)
            found.append((Manifest.model_validate_json(data), data))
    if not found:
        why = "no finished training of this run is in the store"
        problem = Problem("spec.training.from", why, run, f"looked below {stage.store.url}/{run}/")
        raise BadRequest("the run to start from has no adapter", reason="FromNotFound", problems=[problem])
    manifest, data = max(found, key=lambda pair: (pair[0].created, pair[0].key))
    weights = manifest.file(f"adapter/{adapter.WEIGHTS}")
    return Pin(
        uri=f"{stage.store.url}/{stage_folder(run, 'train', manifest.key)}",
        revision=hashlib.sha256(data).hexdigest(),
        size=weights.size if weights else 0,
        detail={"key": manifest.key},
    )
