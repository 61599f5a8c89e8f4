"""Request + preset + profile -> resolved request, and the source of each value. Pure.

Precedence: request > preset > profile > built-in. The result is frozen in a snapshot, and that is what stages
read: a later edit of a profile never changes a run under way.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel

from tunesmith import presets
from tunesmith.errors import BadRequest, Problem
from tunesmith.least_cost import refuse_useless
from tunesmith.profile import Profile
from tunesmith.pruning import pruned, read_pruned
from tunesmith.request import Spec, TrainingRequest, problems_in
from tunesmith.rule import mapping
from tunesmith.rules import broken_rules
from tunesmith.stages import FIELDS_READ, STAGES

BUILT_IN = "built-in"
Layer = tuple[str, Mapping[str, Any]]  # its source, and a partial spec


class StageKey(BaseModel):
    """A node of a request's graph: its name, its kind (stages.py), its key, and all nodes that it builds on.

    A document leaves the kind out where it equals the name. A name that this release does not know is kept,
    since a newer release may have planned it.
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
        values: dict[str, Any] = serialize(self)
        if values["kind"] == values["name"]:
            del values["kind"]
        return values


class Snapshot(BaseModel):
    """The resolved request of one generation, as stages read it from `--request`.

    `provenance`: field path -> source.
    """

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
        """Key of a stage. Raises KeyError if the request does not have it."""
        for entry in self.stages:
            if entry.name == stage:
                return entry.key
        raise KeyError(stage)

    def to_json(self) -> str:
        """One document, which `read_snapshot` reads."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=1)


def read_snapshot(text: str) -> Snapshot:
    """The snapshot in a file, without what only a newer release knows.

    Raises BadRequest if the file does not hold a snapshot, or holds a value that only a newer release knows.
    """
    try:
        return read_pruned(Snapshot, text)
    except ValueError as error:
        document = _document(text)
        if document is not None and (paths := pruned(Snapshot, document)[1].values):
            raise BadRequest(
                "the request was resolved by a newer release of Tunesmith",
                reason="ImageTooOld",
                problems=[Problem(path, "is not known to this release") for path in paths],
                remedy="use that release, or a later one",
            ) from error
        raise BadRequest(
            "the text does not hold a snapshot, which is a resolved request",
            remedy="write one with `tunesmith validate FILE --snapshot`",
        ) from error


def _document(text: str) -> Mapping[str, Any] | None:
    """The JSON object in a text, if it holds one."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, Mapping) else None


def unknown_stages(snapshot: Snapshot) -> list[str]:
    """The stages that a newer release planned, and that this one cannot run."""
    return [stage.name for stage in snapshot.stages if stage.name not in STAGES or stage.kind not in STAGES]


def too_new(text: str) -> list[str]:
    """Paths in a snapshot that a stage of this release must not leave out: a newer one gives them meaning.

    These are fields that this release does not know and somebody has set, and values that it does not know,
    in the parts of the spec that stages read.
    """
    document = _document(text)
    if document is None:
        return []
    provenance = document.get("provenance")
    if not isinstance(provenance, Mapping):
        return []
    _, unknown = pruned(Snapshot, document)
    fields = [path for path in unknown.fields if _is_set(path, provenance)]
    return [path for path in (*fields, *unknown.values) if _is_read(path)]


def _is_read(path: str) -> bool:
    steps = path.split(".")
    return steps[0] == "spec" and len(steps) > 1 and steps[1] in FIELDS_READ


def _is_set(path: str, provenance: Mapping[str, str]) -> bool:
    """Whether a value at or below `path` (`spec.training.newField`) has a source other than the built-in."""
    field = path.removeprefix("spec.")
    below = f"{field}."
    sources = [source for leaf, source in provenance.items() if leaf == field or leaf.startswith(below)]
    return any(source != BUILT_IN for source in sources)


def resolve(
    request: TrainingRequest,
    profile: Profile | None = None,
    *,
    cluster: bool = False,
    runs: Mapping[str, str] | None = None,
) -> tuple[Spec, dict[str, str]]:
    """The spec with every value filled in, and the source of the value of each leaf
    (`training.learningRate`).

    With `cluster`, built-in values are those of a cluster, where training asks for a GPU. `runs` gives the
    run of each request that this one refers to (plan.references) by its name; the spec then names the run, so
    that keys depend on it. Raises BadRequest if request, preset and profile together give something that
    cannot be used.
    """
    merged, sources = _merged(_layers(request, profile))
    if profile and merged["model"]["base"] in profile.models:
        merged["model"]["base"] = profile.models[merged["model"]["base"]]
        sources["model.base"] = source_of(profile)
    if cluster:
        merged.setdefault("training", {}).setdefault("device", "cuda")
    _name_runs(merged, runs or {})
    spec = _with_dependent_values(_validated(merged, sources))
    refuse_useless(spec)
    filled = spec.model_dump(mode="json", by_alias=True)
    paths = [".".join(path) for path, _ in leaves(filled)]
    return spec, {path: sources.get(path, BUILT_IN) for path in paths}


def _layers(request: TrainingRequest, profile: Profile | None) -> Iterator[Layer]:
    """Partial specs with their sources; a later one overrides an earlier one."""
    given = request.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if profile:
        yield source_of(profile), profile.defaults
    yield from _preset_layers(given, profile)
    yield "request", given
    for variant in given.get("training", {}).get("variants", ()):
        yield f"variant {variant['name']}", {"training": variant.get("overrides", {})}


def source_of(profile: Profile) -> str:
    """What the provenance of a value calls a profile."""
    return f"profile {profile.name}"


def _preset_layers(given: Mapping[str, Any], profile: Profile | None) -> Iterator[Layer]:
    defaults = profile.defaults if profile else {}
    if (name := _preset(given.get("data"), defaults.get("data"))) is not None:
        yield f"preset {name}", {"data": presets.DATA[name]}
    if (name := _preset(given.get("training"), defaults.get("training"))) is not None:
        yield f"preset {name}", {"training": presets.TRAINING[name], "merge": presets.MERGE[name]}


def _preset(given: Any, default: Any) -> Any:
    """The preset that a part of the request names, otherwise that of the profile's default."""
    if isinstance(given, Mapping) and "preset" in given:
        return given["preset"]
    return default.get("preset") if isinstance(default, Mapping) else None


def _merged(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """All layers laid over each other, and the source of each leaf.

    Who names the teacher's endpoint names what it wants, too: it gets nothing of the layers below.
    """
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, values in layers:
        if _names_endpoint(values):
            _forget_members(merged, sources)
        for path, value in leaves(values):
            put(merged, path, value)
            sources[".".join(path)] = source
    return merged, sources


# What an endpoint wants beside a call, all of it in `data.teacher`.
_OF_ENDPOINT = ("headers", "secretHeaders", "query", "secretQuery", "body")


def _names_endpoint(values: Mapping[str, Any]) -> bool:
    return any(path == ("data", "teacher", "baseURL") for path, _ in leaves(values))


def _forget_members(merged: Mapping[str, Any], sources: dict[str, str]) -> None:
    teacher = mapping(mapping(merged.get("data")).get("teacher"))
    for name in _OF_ENDPOINT:
        if isinstance(teacher, dict):
            teacher.pop(name, None)
        for path in [path for path in sources if path.startswith(f"data.teacher.{name}.")]:
            del sources[path]


def _name_runs(merged: Mapping[str, Any], runs: Mapping[str, str]) -> None:
    """Put the run of another request in place of its name."""
    for part in (merged.get("data", {}), merged.get("training", {})):
        reference = part.get("from")
        if isinstance(reference, Mapping) and reference.get("request") in runs:
            part["from"] = {"run": runs[reference["request"]]}


def _validated(merged: Mapping[str, Any], sources: Mapping[str, str]) -> Spec:
    problems = list(broken_rules(merged))
    spec = None
    try:
        spec = Spec.model_validate_json(json.dumps(merged))
    except ValidationError as error:
        problems += [_with_source(problem, sources) for problem in problems_in(error, "spec")]
    if problems or spec is None:
        message = "request, variants, presets and profile together cannot be used"
        raise BadRequest(message, problems=problems)
    return spec


def _with_source(problem: Problem, sources: Mapping[str, str]) -> Problem:
    """A problem that also says where its value is from, if that is not the request itself."""
    field = re.sub(r"\[\d+\].*", "", problem.path.removeprefix("spec."))
    given = [source for leaf, source in sources.items() if f"{leaf}.".startswith(f"{field}.")]
    others = sorted({source for source in given if source != "request"})
    return replace(problem, why=f"{problem.why} (given by {', '.join(others)})") if others else problem


def _with_dependent_values(spec: Spec) -> Spec:
    """The spec with the built-in values that depend on others: a choice needs a validation split."""
    chooses = spec.training.early_stopping_patience > 0
    if not chooses or "validation" in spec.data.split.model_fields_set:
        return spec
    split = spec.data.split.model_copy(update={"validation": 0.1})
    return spec.model_copy(update={"data": spec.data.model_copy(update={"split": split})})


# Mappings that are one value: they are replaced as a whole, never merged member by member.
_WHOLE = (
    "jsonSchema",
    "secret",
    "tokenSecret",
    "source",
    "documents",
    "from",
    "rerun",
    "gate",
    "format",
    "overrides",
)
# Mappings from names to values, of which each is one value, whatever it is called and holds.
_BY_NAME = ("secretHeaders", "secretQuery", "body", "prices")


def leaves(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and value of each leaf of a partial spec.

    A list is one leaf, and so is a mapping that is one value. An empty part has no leaves.
    """
    by_name = bool(path) and path[-1] in _BY_NAME
    for key, member in value.items():
        here = (*path, key)
        if isinstance(member, Mapping) and key not in _WHOLE and not by_name:
            yield from leaves(member, here)
        else:
            yield here, member


def put(target: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Set the leaf at a path of a partial spec. A leaf on the way there gives way."""
    for step in path[:-1]:
        if not isinstance(target.get(step), dict):
            target[step] = {}
        target = target[step]
    target[path[-1]] = value
