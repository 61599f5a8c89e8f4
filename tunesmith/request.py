"""TrainingRequest: what a person applies, and the status that is written back.

`parse` turns a document into a request or raises one BadRequest that lists everything wrong with it. The settings themselves are in
settings.py; which of preset, profile and built-in fills what is missing, in resolve.py.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from tunesmith.errors import BadRequest, Problem
from tunesmith.field_docs import models_in
from tunesmith.rules import broken_rules
from tunesmith.settings import (
    HINTS,
    Count,
    Data,
    Evaluation,
    Location,
    Merge,
    Model,
    ObjectName,
    Passage,
    Quantity,
    Run,
    Settings,
    Training,
)
from tunesmith.stages import KindName
from tunesmith.wire import DOCUMENTATION

LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]
NAME_LENGTH = 39  # `<name>-<stage>-<8 hex>` stays within 57 characters, so that pod names stay whole


class Resources(Settings):
    """Kubernetes resources of a stage's container."""

    requests: Annotated[dict[str, Quantity], Field(max_length=32)] = Field(default_factory=dict)
    """What the pod is scheduled by, such as `cpu: "4"`, `memory: 16Gi`."""
    limits: Annotated[dict[str, Quantity], Field(max_length=32)] = Field(default_factory=dict)
    """What the container may use at most; `nvidia.com/gpu` belongs here."""


class Toleration(Settings):
    """A Kubernetes toleration."""

    key: Annotated[str, Field(max_length=317)] = ""
    """Taint key; empty, with operator Exists, matches all."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """How key and value are compared."""
    value: LabelValue = ""
    """Taint value; none with operator Exists."""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    """Taint effect; empty matches all."""
    toleration_seconds: Count | None = None
    """Seconds a taint is tolerated; with effect NoExecute only."""


class StageSettings(Settings):
    """Where and how often a stage runs. None of it changes the result, so none of it changes a key."""

    resources: Resources = Field(default_factory=Resources)
    """Resources of the container."""
    node_selector: Annotated[dict[str, LabelValue], Field(max_length=32)] = Field(default_factory=dict)
    """Labels the node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints the pod tolerates."""
    priority_class_name: ObjectName = ""
    """Kubernetes priority class."""
    env: Annotated[dict[str, Passage], Field(max_length=100)] = Field(default_factory=dict)
    """Additional environment variables. Never put a secret here."""
    retries: Annotated[int, Field(ge=0, le=100)] = 3
    """Tries after a counted failure."""
    active_deadline_seconds: Count = 0
    """Seconds the stage may run. 0: no limit."""


class Stages(Settings):
    """Placement and retries, stage by stage."""

    generate: StageSettings = Field(default_factory=StageSettings)
    """Writing the dataset."""
    train: StageSettings = Field(default_factory=StageSettings)
    """Training the adapter."""
    merge: StageSettings = Field(default_factory=StageSettings)
    """Merging adapter and base model."""
    evaluate: StageSettings = Field(default_factory=StageSettings)
    """Comparing base model and merged model."""
    deliver: StageSettings = Field(default_factory=StageSettings)
    """Copying the finished model to `output`."""


class Again(Settings):
    """A stage that runs again, and all later ones with it, though they are finished."""

    from_: Annotated[KindName, Field(alias="from")]
    """First stage to run again."""
    id: Annotated[str, Field(min_length=1, max_length=64)]
    """Any string; a new one means once more."""


class Rerun(Settings):
    """Run a stage and all later ones again, though they are finished."""

    from_: Annotated[KindName, Field(alias="from")]
    """First stage to run again."""
    id: Annotated[str, Field(min_length=1, max_length=64)]
    """Any string; a new one means once more."""
    then: Annotated[tuple[Again, ...], Field(max_length=4)] = ()
    """Later stages that ran again after that, the latest last: what was made before them stays."""


class Spec(Settings):
    """The wish: a task, and whatever differs from preset, profile and built-in values."""

    task: Annotated[str, Field(min_length=1, max_length=100_000)]
    """What the model shall do, in plain words, any language. Kept to the byte."""
    profile: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")] = "default"
    """The platform team's profile: store, secrets, teacher, placement, images, limits. Cannot be changed later."""
    data: Data = Field(default_factory=Data)
    """Training examples."""
    model: Model
    """Base model."""
    training: Training = Field(default_factory=Training)
    """Training of the adapter."""
    merge: Merge = Field(default_factory=Merge)
    """Merging."""
    evaluation: Evaluation = Field(default_factory=Evaluation)
    """Comparison of base and merged model."""
    output: Location = ""
    """`s3://bucket/prefix` to which the finished model is copied once the gate is passed."""
    stages: Stages = Field(default_factory=Stages)
    """Placement and retries."""
    run: Run = ""
    """Run in the store to take up. Built-in: a new one for each request (locally the request's name). Cannot be changed once it is set."""
    suspend: bool = False
    """Do not run for now; a running stage saves its state and ends."""
    ttl_seconds_after_finished: Count | None = None
    """Seconds after the end until Jobs and pods are removed. Built-in: kept."""
    delete_when_expired: bool = False
    """Remove the request too, once `ttlSecondsAfterFinished` is over. Not with GitOps, which would apply and run it again."""
    queue_name: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?)?$")] = ""
    """Kueue LocalQueue that the Jobs wait in. Cannot be changed later."""
    retry: Annotated[str, Field(max_length=64)] = ""
    """Any string; a new one gives failed stages another attempt, with what was paid and computed."""
    rerun: Rerun | None = None
    """Run finished stages again."""


class Metadata(BaseModel):
    """The part of Kubernetes' metadata that a request needs; the rest passes through."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=NAME_LENGTH)]
    namespace: str = "default"


class TrainingRequest(Settings):
    """One document. Unset fields of `spec` are those that a preset or profile may fill: `spec.model_dump(exclude_unset=True)`."""

    api_version: Literal["tunesmith.dev/v1alpha1"]
    kind: Literal["TrainingRequest"]
    metadata: Metadata
    spec: Spec
    status: dict[str, JsonValue] | None = None


def parse(document: object) -> TrainingRequest:
    """The request in a document that was read from YAML or JSON. Raises BadRequest with every problem found."""
    if not isinstance(document, dict):
        why = "a request is a mapping with apiVersion, kind, metadata and spec"
        raise BadRequest("not a TrainingRequest", problems=[Problem("", why, document)])
    pruned: dict[str, Any] = without_nulls(document)
    problems: list[Problem] = []
    request = None
    try:
        request = TrainingRequest.model_validate_json(json.dumps(pruned))
    except ValidationError as error:
        problems = [_problem(details) for details in error.errors(include_url=False)]
    spec = pruned.get("spec")
    if isinstance(spec, dict):
        problems += [*broken_rules(spec), *_too_large(spec)]
    if problems or request is None:
        metadata = pruned.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
        raise BadRequest(f"request {name or '(without a name)'} cannot run: {count}", problems=problems)
    return request


def without_nulls(value: Any) -> Any:
    """The value without members that are null, as the API server prunes them: null means not set. In a JSON Schema it is a value."""
    if isinstance(value, Mapping):
        return {
            key: member if key == _JSON_SCHEMA else without_nulls(member)
            for key, member in value.items()
            if member is not None
        }
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


_JSON_SCHEMA = "jsonSchema"
_SPEC_BYTES = (
    600_000  # of a ConfigMap's 1 MiB; the rest is for resolved values, where they came from, and the profile
)


def _too_large(spec: Mapping[str, Any]) -> Iterator[Problem]:
    size = len(
        json.dumps([spec], ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
    )  # as a snapshot writes it
    if size > _SPEC_BYTES:
        why = f"has {size:,} bytes, more than the {_SPEC_BYTES:,} that fit into a snapshot"
        yield Problem("spec", why, remedy="give long data by data.source")


_WORDS = {
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "tuple_type": "must be a list",
    "missing": "is missing",
    "finite_number": "must be a finite number",
}


def _problem(details: ErrorDetails) -> Problem:
    path = dotted(details["loc"])
    value = details["input"]
    if details["type"] == "extra_forbidden":
        field = str(details["loc"][-1])
        guess = difflib.get_close_matches(_camel(field), _names_at(details["loc"][:-1]), n=1, cutoff=0.6)
        return Problem(
            path,
            "unknown field",
            remedy=f"did you mean {guess[0]!r}?"
            if guess
            else f"see {DOCUMENTATION}docs/reference/request.md for the fields",
        )
    if details["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", details["ctx"]["expected"])
        guess = difflib.get_close_matches(str(value), allowed, n=1, cutoff=0.6)
        return Problem(
            path,
            f"must be one of {', '.join(allowed)}",
            value,
            f"did you mean {guess[0]!r}?" if guess else "",
        )
    if details["type"] == "missing":
        return Problem(path, "is missing", remedy="add it")
    if details["type"] == "too_long":
        return Problem(
            path, f"must have at most {(most := details['ctx']['max_length'])} item{'s' * (most != 1)}", value
        )
    text = _WORDS.get(details["type"])
    if text is None:
        text = details["msg"][:1].lower() + details["msg"][1:]
        text = text.removeprefix("input should ").removeprefix("string should ").removeprefix("tuple should ")
        text = text if text.startswith(("be ", "have ", "match ")) is False else f"must {text}"
    return Problem(path, text, value, HINTS.get(details.get("ctx", {}).get("pattern", ""), ""))


def dotted(location: tuple[int | str, ...]) -> str:
    """A field path in the way people and Kubernetes write it: `spec.stages.train.tolerations[0].key`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _names_at(location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that the model at a location has."""
    model: type[BaseModel] | None = TrainingRequest
    for step in location:
        if isinstance(step, int) or model is None:
            continue
        field = next((info for name, info in model.model_fields.items() if step in (name, info.alias)), None)
        model = next(models_in(field.annotation), None) if field else None
    return [info.alias or name for name, info in model.model_fields.items()] if model else []
