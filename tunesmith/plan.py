"""Resolved request -> the graph of its stages with their keys; and what is next, given what is done. Pure.

A stage's key is a hash of the resolved fields that change its result, the version of its format, and the keys
of the stages before it. Placement, resources, retries, secrets and the gate change no key. A field at its
built-in default is left out, so that a new option moves no key of an old request; golden tests pin keys
across releases.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from tunesmith.profile import Profile
from tunesmith.request import Spec, TrainingRequest
from tunesmith.reruns import id_of
from tunesmith.resolve import Snapshot, StageKey, leaves, resolve
from tunesmith.settings import Reference
from tunesmith.stages import STAGES

KEY_LENGTH = 16  # hex digits, 64 bits

# Within the fields of a stage, what changes no result: where and how fast something is done, what it may
# cost, what is only shown or judged.
NEUTRAL = frozenset(
    {
        "data.preset",  # its values count, not its name
        "data.budget",
        "data.teacher.baseURL",  # where the model named by `teacher.model` is reached
        "data.teacher.secret",
        "data.teacher.requestsPerMinute",
        "data.teacher.tokensPerMinute",
        "data.teacher.maxConcurrency",
        "training.preset",
        "training.device",
        "training.loggingSteps",
        "training.saveSteps",
        "training.saveTotalLimit",
        "training.reportTo",
        "training.variants",  # already laid over the other fields
        "evaluation.gate",  # judged by runner and controller on evaluate's metrics
        "evaluation.perDeviceEvalBatchSize",
    }
)

LEAST: Mapping[str, Any] = {
    "task": "-",
    "model": {"base": "-"},
}  # what a spec has to say at least; all else is built in then


def snapshot(
    request: TrainingRequest,
    *,
    run: str,
    profile: Profile | None = None,
    cluster: bool = False,
    runs: Mapping[str, str] | None = None,
) -> Snapshot:
    """Resolve a request and compute its graph.

    `run`: the run's name in the store, unless the request says one.

    `cluster` and `runs` (of the requests in `references`): see resolve.
    """
    spec, provenance = resolve(request, profile, cluster=cluster, runs=runs)
    return Snapshot(
        name=request.metadata.name,
        namespace=request.metadata.namespace,
        run=spec.run or run,
        spec=spec,
        provenance=provenance,
        stages=graph(spec),
    )


def graph(spec: Spec) -> tuple[StageKey, ...]:
    """The stages of a resolved spec, each after those that it needs."""
    values = {".".join(path): value for path, value in leaves(spec.model_dump(mode="json", by_alias=True))}
    defaults = {".".join(path): value for path, value in leaves(_built_in())}
    stages: dict[str, StageKey] = {}
    for name, kind in STAGES.items():
        if kind.asked_by and not getattr(spec, kind.asked_by):
            continue
        fields = {
            path: value
            for path, value in values.items()
            if concerns(path) == name and value != defaults.get(path)
        }
        direct = [stages[need] for need in kind.needs]
        after = [stage.key for stage in direct]
        key = _hash(
            {
                "format": kind.format,
                "stage": name,
                "fields": fields,
                "after": after,
                "rerun": id_of(spec.rerun, name),
            }
        )
        stages[name] = StageKey(name=name, kind=name, key=key, needs=_all_needs(direct))
    return tuple(stages.values())


def _all_needs(direct: Collection[StageKey]) -> tuple[str, ...]:
    """What some stages build on, and they themselves, each once."""
    return tuple(dict.fromkeys(name for stage in direct for name in (*stage.needs, stage.name)))


def borrowed(spec: Spec) -> dict[str, Reference]:
    """Stage -> the request or run whose result it takes over: `data.from` a dataset, `training.from` an
    adapter.
    """
    found: dict[str, Reference | None] = {"generate": spec.data.from_, "train": spec.training.from_}
    return {stage: reference for stage, reference in found.items() if reference is not None}


def references(spec: Spec) -> tuple[tuple[str, str], ...]:
    """The requests that a resolved spec waits for, each with the stage whose result it takes over.

    Empty once they are replaced by their runs (`resolve` with `runs`).
    """
    return tuple(
        (reference.request, stage) for stage, reference in borrowed(spec).items() if reference.request
    )


def concerns(path: str) -> str | None:
    """The first stage whose key a field changes (later keys follow from it), or None."""
    if _within(path, NEUTRAL):
        return None
    return next((name for name, kind in STAGES.items() if _within(path, kind.fields)), None)


def next_stages(stages: Collection[StageKey], done: Collection[tuple[str, str]]) -> list[StageKey]:
    """The stages that can start: not done, and all that they build on is.

    `done`: (name, key) of finished stages.
    """
    finished = {stage.name for stage in stages if (stage.name, stage.key) in done}
    return [stage for stage in stages if stage.name not in finished and finished.issuperset(stage.needs)]


def _within(path: str, parts: Collection[str]) -> bool:
    return any(path == part or path.startswith(part + ".") for part in parts)


def _built_in() -> dict[str, Any]:
    return Spec.model_validate(LEAST).model_dump(mode="json", by_alias=True)


def _hash(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
