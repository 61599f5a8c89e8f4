"""Request + preset + profile -> resolved request, with where each value came from. Pure.

Precedence: request > preset > profile > built-in. The result is frozen in a snapshot, and that is what stages read: a later edit
of a profile never changes a run under way.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic.alias_generators import to_camel

from tunesmith import presets
from tunesmith.errors import BadRequest, Problem
from tunesmith.profile import Profile
from tunesmith.pruning import pruned, read_pruned
from tunesmith.request import Spec, TrainingRequest
from tunesmith.rules import broken_rules
from tunesmith.stages import FIELDS_READ

BUILT_IN = "built-in"
Layer = tuple[str, Mapping[str, Any]]  # where it comes from, and a partial spec


class StageKey(BaseModel):
    """A node of a request's graph: its name, its kind (stages.py), its key, and the names of all nodes that it builds on.

    In a document the kind is left out where it is the name. A name that this release does not know is kept: a newer release may have
    planned it.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    key: str
    needs: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_kind(cls, values: Any) -> Any:
        return {"kind": values.get("name"), **values} if isinstance(values, Mapping) else values

    @model_serializer(mode="wrap")
    def _without_plain_kind(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {
            field: value for field, value in serialize(self).items() if field != "kind" or value != self.name
        }


class Snapshot(BaseModel):
    """The resolved request of one generation, as stages read it from `--request`. `provenance`: field path -> source."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    api_version: Literal["tunesmith.dev/v1alpha1"] = "tunesmith.dev/v1alpha1"
    kind: Literal["Snapshot"] = "Snapshot"
    name: str
    namespace: str
    run: str
    spec: Spec
    provenance: dict[str, str]
    stages: tuple[StageKey, ...]

    def key(self, stage: str) -> str:
        """Key of a stage. Raises KeyError for one that this request does not have."""
        for entry in self.stages:
            if entry.name == stage:
                return entry.key
        raise KeyError(stage)

    def to_json(self) -> str:
        """One document, readable by `read_snapshot`."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=1)


def read_snapshot(text: str) -> Snapshot:
    """The snapshot in a file, without what only a newer release knows. Raises BadRequest if it is none."""
    try:
        return read_pruned(Snapshot, text)
    except ValueError as error:
        raise BadRequest(
            "the file given by --request is no snapshot",
            remedy="write one with `tunesmith validate FILE --snapshot`",
        ) from error


def unknown_wishes(text: str) -> list[str]:
    """Fields of a snapshot that this release does not know, that change a result, and that somebody has set: leaving them out is no way."""
    document = json.loads(text)
    provenance: Mapping[str, str] = document.get("provenance", {})
    return [
        path
        for path in pruned(Snapshot, document)[1]
        if path.startswith("spec.")
        and path.split(".")[1] in FIELDS_READ
        and _is_set(path.removeprefix("spec."), provenance)
    ]


def _is_set(path: str, provenance: Mapping[str, str]) -> bool:
    return any(
        source != BUILT_IN
        for leaf, source in provenance.items()
        if leaf == path or leaf.startswith(f"{path}.")
    )


def resolve(
    request: TrainingRequest,
    profile: Profile | None = None,
    *,
    cluster: bool = False,
    runs: Mapping[str, str] | None = None,
) -> tuple[Spec, dict[str, str]]:
    """The spec with every value filled in, and for each leaf's path (`training.learningRate`) the source of its value.

    `cluster`: take the built-in values of a cluster, where training asks for a GPU. `runs`: the run of each request that this one refers
    to (plan.references), by name; the reference then names the run, so that the keys depend on it. Raises BadRequest if request, preset
    and profile together give something that cannot be used.
    """
    wish = request.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    layers: list[Layer] = [("profile " + profile.name, profile.defaults)] if profile else []
    layers += _preset_layers(wish, profile)
    layers.append(("request", wish))
    layers += _variant_layers(wish)
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, values in layers:
        for path, value in leaves(values):
            put(merged, path, value)
            sources[".".join(path)] = source
    if profile and (url := profile.models.get(merged["model"]["base"])):
        merged["model"]["base"] = url
        sources["model.base"] = f"profile {profile.name}"
    if cluster:
        merged.setdefault("training", {}).setdefault("device", "cuda")
    _name_runs(merged, runs or {})
    if problems := list(broken_rules(merged)):
        raise BadRequest("request, presets and profile together cannot be used", problems=problems)
    try:
        spec = Spec.model_validate_json(json.dumps(merged))
    except ValueError as error:
        raise BadRequest(
            "preset and profile give a spec that cannot be used", problems=[Problem("spec", str(error))]
        ) from error
    spec = _choices(spec)
    filled = spec.model_dump(mode="json", by_alias=True)
    return spec, {
        path: sources.get(path, BUILT_IN) for path in (".".join(path) for path, _ in leaves(filled))
    }


def _name_runs(merged: Mapping[str, Any], runs: Mapping[str, str]) -> None:
    """Put the run of another request in place of its name."""
    for part in (merged.get("data", {}), merged.get("training", {})):
        reference = part.get("from")
        if isinstance(reference, Mapping) and (run := runs.get(reference.get("request", ""))):
            part["from"] = {"run": run}


def _choices(spec: Spec) -> Spec:
    """Built-in values that depend on others: whatever chooses something needs a validation split."""
    chooses = spec.training.early_stopping_patience > 0
    if chooses and "validation" not in spec.data.split.model_fields_set:
        split = spec.data.split.model_copy(update={"validation": 0.1})
        return spec.model_copy(update={"data": spec.data.model_copy(update={"split": split})})
    return spec


def _preset_layers(wish: Mapping[str, Any], profile: Profile | None) -> Iterator[Layer]:
    def named(part: str) -> Any:
        own = wish.get(part)
        default = profile.defaults.get(part) if profile else None
        if isinstance(own, Mapping) and "preset" in own:
            return own["preset"]
        return default.get("preset") if isinstance(default, Mapping) else None

    if (name := named("data")) is not None:
        yield f"preset {name}", {"data": presets.DATA[name]}
    if (name := named("training")) is not None:
        yield f"preset {name}", {"training": presets.TRAINING[name], "merge": presets.MERGE[name]}


def _variant_layers(wish: Mapping[str, Any]) -> Iterator[Layer]:
    for variant in wish.get("training", {}).get("variants", ()):
        yield f"variant {variant['name']}", {"training": variant.get("overrides", {})}


# Mappings that are one value: set as a whole, never merged member by member.
_WHOLE = ("jsonSchema", "secret", "tokenSecret", "source", "from", "rerun", "gate", "format", "overrides")


def leaves(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and value of each leaf of a partial spec. Lists, and mappings that are one value, are leaves; an empty part has none."""
    for key, member in value.items():
        here = (*path, key)
        if isinstance(member, Mapping) and key not in _WHOLE:
            yield from leaves(member, here)
        else:
            yield here, member


def put(target: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Lay the leaf of a path into a partial spec."""
    for step in path[:-1]:
        target = target.setdefault(step, {})
    target[path[-1]] = value
