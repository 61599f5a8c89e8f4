"""Resolved request -> the graph of its stages with their keys, and the stages that can start. Pure.

A stage's key is a hash of the resolved fields that change its result, the version of its format, and the keys
of the stages that it builds on. Placement, resources, retries, secrets and the gate change no key. A field at
its built-in default is left out, so that a new option changes no key of an old request. Own data and
documents whose digest the request names are known by the digest: name and place change no key. Golden tests
pin the keys across releases.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from tunesmith.profile import Profile
from tunesmith.request import Spec, TrainingRequest
from tunesmith.reruns import id_of
from tunesmith.resolve import Snapshot, StageKey, leaves, resolve
from tunesmith.settings import Documents, Reference, Source
from tunesmith.stages import STAGES

KEY_LENGTH = 16  # hex digits, 64 bits

# Of the fields of the stages, those that change no result: where and how fast something is done, what it may
# cost, what is only shown or judged.
NEUTRAL = frozenset(
    {
        "data.preset",  # only its values count
        "data.budget",
        "data.teacher.baseURL",  # only where the model is reached
        "data.teacher.secret",
        "data.teacher.headers",  # only who asks, and by which way
        "data.teacher.secretHeaders",
        "data.teacher.secretQuery",
        "data.teacher.requestsPerMinute",
        "data.teacher.tokensPerMinute",
        "data.teacher.maxConcurrency",
        "data.teacher.mode",  # the same calls by another way, into the same journal
        "training.preset",
        "training.device",
        "training.loggingSteps",
        "training.saveSteps",
        "training.saveTotalLimit",
        "training.reportTo",
        "training.variants",  # resolving has applied them to the other fields
        "evaluation.gate",  # the runner and the controller judge evaluate's metrics by it
        "evaluation.perDeviceEvalBatchSize",
    }
)

# The least that a spec must say. All its other values are the built-in ones.
LEAST: Mapping[str, Any] = {"task": "-", "model": {"base": "-"}}


def snapshot(
    request: TrainingRequest,
    *,
    run: str,
    profile: Profile | None = None,
    cluster: bool = False,
    runs: Mapping[str, str] | None = None,
) -> Snapshot:
    """Resolve a request and compute its graph.

    `run` is the name of the run in the store, unless the request gives one. `cluster` and `runs`: see
    `resolve`.
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
    changed = in_keys(spec)
    stages: dict[str, StageKey] = {}
    for name, kind in STAGES.items():
        if kind.asked_by and not getattr(spec, kind.asked_by):
            continue
        needs = [stages[need] for need in kind.needs]
        key = _hash(
            {
                "format": kind.format,
                "stage": name,
                "fields": {path: value for path, value in changed.items() if concerns(path) == name},
                "after": [stage.key for stage in needs],
                "rerun": id_of(spec.rerun, name),
            }
        )
        stages[name] = StageKey(name=name, kind=name, key=key, needs=_with_their_needs(needs))
    return tuple(stages.values())


def _with_their_needs(stages: Collection[StageKey]) -> tuple[str, ...]:
    """Names of some stages and of all that they build on, each once."""
    names = [name for stage in stages for name in (*stage.needs, stage.name)]
    return tuple(dict.fromkeys(names))


def borrowed(spec: Spec) -> dict[str, Reference]:
    """Stage -> the request or run whose result it takes over: a dataset (`data.from`), an adapter
    (`training.from`).
    """
    references = {"generate": spec.data.from_, "train": spec.training.from_}
    return {stage: reference for stage, reference in references.items() if reference is not None}


def references(spec: Spec) -> tuple[tuple[str, str], ...]:
    """The requests that a resolved spec waits for, each with the stage whose result it takes over.

    Empty as soon as runs have taken the place of the requests (`resolve` with `runs`).
    """
    named = borrowed(spec).items()
    return tuple((reference.request, stage) for stage, reference in named if reference.request)


def concerns(path: str) -> str | None:
    """The first stage whose key a field changes, or None. The keys of later stages follow."""
    if _within(path, NEUTRAL):
        return None
    return next((name for name, kind in STAGES.items() if _within(path, kind.fields)), None)


def next_stages(stages: Collection[StageKey], done: Collection[tuple[str, str]]) -> list[StageKey]:
    """The stages that can start: they are not done, and everything that they build on is.

    `done` holds name and key of finished stages.
    """
    finished = {stage.name for stage in stages if (stage.name, stage.key) in done}
    return [stage for stage in stages if stage.name not in finished and finished.issuperset(stage.needs)]


def _within(path: str, parts: Collection[str]) -> bool:
    return any(path == part or path.startswith(part + ".") for part in parts)


def in_keys(spec: Spec) -> dict[str, Any]:
    """The values that differ from the built-in ones, by their paths, as they enter keys."""
    built_in = dict(leaves(Spec.model_validate(LEAST).model_dump(mode="json", by_alias=True)))
    values = leaves(spec.model_dump(mode="json", by_alias=True))
    changed = {".".join(path): value for path, value in values if value != built_in.get(path)}
    for path, model in _FILES.items():
        if path in changed:
            changed[path] = _by_content(changed[path], model)
    return changed


_FILES: Mapping[str, type[Source] | type[Documents]] = {"data.source": Source, "data.documents": Documents}
# Members of a source that entered keys from the first release on, whatever their value.
_ALWAYS = frozenset({"uri", "format", "encoding", "fields", "prompt", "response", "messages"})


def _by_content(files: Mapping[str, Any], model: type[Source | Documents]) -> dict[str, Any]:
    """Files as they enter a key: by their content where the request says what that is, else by their name."""
    named = {"uri", "version"} if files["sha256"] else set()
    built_in = model(uri="-").model_dump(mode="json", by_alias=True)
    return {name: value for name, value in _set(files, built_in).items() if name not in named}


def _set(values: Mapping[str, Any], built_in: Mapping[str, Any]) -> dict[str, Any]:
    """The members that a key must hold: those of the first release, and others that are not built-in."""
    return {
        name: _set(value, built_in[name]) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if name in _ALWAYS or value != built_in[name]
    }


def _hash(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
