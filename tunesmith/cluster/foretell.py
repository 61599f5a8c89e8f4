"""Which stages a change of a request would run, and which it would reuse: by the profile that is frozen with it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.changes import Change, changes
from tunesmith.cluster.requests import status_of
from tunesmith.plan import graph, snapshot
from tunesmith.profile import Profile
from tunesmith.request import TrainingRequest, parse
from tunesmith.resolve import Snapshot


@dataclass(frozen=True)
class Foretold:
    """`stages`: name, key (empty where the profile decides it), and `run` or `reuse`. `edits`: which field moved the key of what."""

    stages: tuple[tuple[str, str, str], ...]
    edits: tuple[Change, ...] = ()


def first_run(request: TrainingRequest) -> Foretold:
    """For a request that the cluster does not have: the keys follow from the profile, which only the controller knows."""
    return Foretold(tuple((entry.name, "", "run") for entry in graph(request.spec)))


def after(request: Mapping[str, Any], patched: Mapping[str, Any], before: Snapshot, profile: Profile) -> Foretold:
    """For a change of a request that has a run. A stage taken from another request keeps the run that it was taken from."""
    document = {name: value for name, value in patched.items() if name != "status"}
    made = snapshot(parse(_with_runs(document, before)), run=before.run, profile=profile)
    finished = {(one.stage, one.key) for one in status_of(request).finished}
    stages = tuple((one.name, one.key, "reuse" if (one.name, one.key) in finished else "run") for one in made.stages)
    return Foretold(stages, tuple(changes(before, made)))


def _with_runs(document: Mapping[str, Any], before: Snapshot) -> dict[str, Any]:
    """The document with the runs that the controller put in place of other requests' names."""
    spec = dict(document["spec"])
    for part, frozen in (("data", before.spec.data.from_), ("training", before.spec.training.from_)):
        wish = spec.get(part) or {}
        if (wish.get("from") or {}).get("request") and frozen is not None and frozen.run:
            spec[part] = {**wish, "from": {"run": frozen.run}}
    return {**document, "spec": spec}


def merged(request: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch laid over a document (RFC 7396)."""
    result = dict(request)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            below = result.get(name)
            result[name] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            result[name] = value
    return result
