"""Jobs of stages, built from a request and a profile, and what is read from them."""

import json

from requests_for_tests import document

from tunesmith import plan
from tunesmith.profile import Profile
from tunesmith.request import parse
from tunesmith_controller.decide.model import Frozen, SnapshotMap
from tunesmith_controller.decide.pods import build_job

PROFILE = {
    "store": {"url": "s3://bucket/runs/"},
    "images": {"generate": "registry/generate:1", "train": "registry/train:1", "merge": "registry/merge:1"},
}
REQUEST = {
    "metadata": {"name": "riddles", "namespace": "team", "uid": "01234567-89ab-cdef-0123-456789abcdef"}
}


def snapshot_map(spec=None, profile=None, name="riddles-snapshot-00000000"):
    """The snapshot of a request with these changes under a profile with these values."""
    values = Profile.model_validate_json(json.dumps(PROFILE | dict(profile or {})))
    snapshot = plan.snapshot(parse(document(spec)), run="riddles-01234567", profile=values)
    return SnapshotMap(name, snapshot, Frozen(generation=1, profile=values))


def build(stage="train", spec=None, profile=None, attempt=1, **options):
    """The Job of a stage: `build("train", {"training.device": "cuda"}, {"env": {...}})`."""
    return build_job(REQUEST, stage, attempt, snapshot_map(spec, profile), version="1.2.3", **options)


def pod_of(built):
    return built["spec"]["template"]["spec"]


def container_of(built):
    (container,) = pod_of(built)["containers"]
    return container


def env_of(built):
    """Variables by name: a text, or `Secret/key`, with ? at its end if it may be missing."""
    values = {}
    for entry in container_of(built)["env"]:
        assert entry["name"] not in values, "a variable is set twice"
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        values[entry["name"]] = (
            entry["value"]
            if reference is None
            else f"{reference['name']}/{reference['key']}{'?' if reference.get('optional') else ''}"
        )
    return values
