"""TrainingRequest: what a person applies, and the status that is written back.

`parse` turns a document into a request, or raises one BadRequest that lists everything wrong with it. The
settings themselves are in settings.py. resolve.py fills in what a request leaves open, from preset, profile
and built-in values.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from tunesmith.errors import BadRequest, Problem
from tunesmith.extent import problem_with
from tunesmith.field_docs import models_in
from tunesmith.rules import broken_rules
from tunesmith.settings import (
    HINTS,
    Data,
    Evaluation,
    Location,
    Merge,
    Model,
    ObjectName,
    Quantity,
    Run,
    Seconds,
    Settings,
    Training,
)
from tunesmith.stages import ORDER, KindName
from tunesmith.wire import DOCUMENTATION

_VALUE = "[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
LabelValue = Annotated[str, Field(pattern=f"^({_VALUE})?$", max_length=63)]
_TAINT = rf"^(({_DOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?)?$"
# No program can be started with a NUL in its environment.
VariableValue = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=4000)]
NAME_LENGTH = 39  # `<name>-<stage>-<8 hex>` stays within 57 characters, so that pod names stay whole


class Resources(Settings):
    """Kubernetes resources of a stage's container."""

    requests: Annotated[dict[str, Quantity], Field(max_length=32)] = Field(default_factory=dict)
    """What the scheduler reserves for the pod, such as `cpu: "4"`, `memory: 16Gi`."""
    limits: Annotated[dict[str, Quantity], Field(max_length=32)] = Field(default_factory=dict)
    """The most that the container may use; `nvidia.com/gpu` belongs here."""


class Toleration(Settings):
    """A Kubernetes toleration."""

    key: Annotated[str, Field(pattern=_TAINT, max_length=253)] = ""
    """Taint key. An empty key with operator Exists matches all taints."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """How key and value are compared."""
    value: LabelValue = ""
    """Taint value; leave it empty with operator Exists."""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    """Taint effect; an empty one matches all effects."""
    toleration_seconds: Seconds | None = None
    """Seconds for which the taint is tolerated; only with effect NoExecute. Left out: for ever."""


class StageSettings(Settings):
    """Where and how often a stage runs. None of this changes the result, and so none of it changes a key."""

    resources: Resources = Field(default_factory=Resources)
    """Resources of the container."""
    node_selector: Annotated[dict[str, LabelValue], Field(max_length=32)] = Field(default_factory=dict)
    """Labels that the node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints that the pod tolerates."""
    priority_class_name: ObjectName = ""
    """Kubernetes priority class."""
    env: Annotated[dict[str, VariableValue], Field(max_length=100)] = Field(default_factory=dict)
    """More environment variables. Never put a secret here."""
    retries: Annotated[int, Field(ge=0, le=100)] = 6
    """Further tries after a counted failure. Kubernetes waits 10 s, 20 s, 40 s and so on before them, so that
    six outlast a store or a teacher that is away for ten minutes. Whatever is left of them, the fourth crash
    is the last.
    """
    active_deadline_seconds: Seconds = 0
    """Seconds that the stage may run. 0: no limit."""


class Stages(Settings):
    """Placement and retries, stage by stage."""

    generate: StageSettings = Field(default_factory=StageSettings)
    """Writes the dataset."""
    train: StageSettings = Field(default_factory=StageSettings)
    """Trains the adapter."""
    merge: StageSettings = Field(default_factory=StageSettings)
    """Merges adapter and base model."""
    evaluate: StageSettings = Field(default_factory=StageSettings)
    """Compares base model and merged model."""
    deliver: StageSettings = Field(default_factory=StageSettings)
    """Copies the finished model to `output`."""


class Again(Settings):
    """A finished stage that is to run again, with all later ones."""

    from_: Annotated[KindName, Field(alias="from")]
    """First stage to run again."""
    id: Annotated[str, Field(min_length=1, max_length=64)]
    """Any string. A new one runs the stage once more."""


class Rerun(Settings):
    """Run a finished stage and all later ones again."""

    from_: Annotated[KindName, Field(alias="from")]
    """First stage to run again."""
    id: Annotated[str, Field(min_length=1, max_length=64)]
    """Any string. A new one runs the stage once more."""
    then: Annotated[tuple[Again, ...], Field(max_length=len(ORDER) - 1)] = ()
    """Later stages to run again after that, the latest last. The results of the stages before them stay."""


class Spec(Settings):
    """What is wanted: a task, and whatever differs from preset, profile and built-in values."""

    task: Annotated[str, Field(min_length=1, max_length=100_000)]
    """What the model is to do, in plain words and any language. It is kept byte for byte."""
    profile: Annotated[str, Field(pattern=f"^{_VALUE}$", max_length=63)] = "default"
    """The platform team's profile, which decides on store, secrets, teacher, placement, images and limits. It
    cannot be changed later.
    """
    data: Data = Field(default_factory=Data)
    """Training examples."""
    model: Model
    """Base model."""
    training: Training = Field(default_factory=Training)
    """Training of the adapter."""
    merge: Merge = Field(default_factory=Merge)
    """Merging."""
    evaluation: Evaluation = Field(default_factory=Evaluation)
    """Comparison of base model and merged model."""
    output: Location = ""
    """`s3://bucket/prefix` to which the finished model is copied once the gate is passed."""
    stages: Stages = Field(default_factory=Stages)
    """Placement and retries."""
    run: Run = ""
    """Run in the store to continue. Built-in: a new run for each request (locally, the request's name). It
    cannot be changed once it is set.
    """
    suspend: bool = False
    """Pause the request. A running stage saves its state and ends."""
    ttl_seconds_after_finished: Seconds | None = None
    """Seconds after the end until Jobs and pods are removed, at most ten years. Built-in: they are kept."""
    delete_when_expired: bool = False
    """Remove the request too when `ttlSecondsAfterFinished` is over. Do not use this with GitOps, which would
    apply the request and run it again.
    """
    queue_name: Run = ""
    """Kueue LocalQueue in which the Jobs wait. It cannot be changed later."""
    retry: Annotated[str, Field(max_length=64)] = ""
    """Any string. A new one gives failed stages another attempt, which uses what has been paid for and
    computed.
    """
    rerun: Rerun | None = None
    """Finished stages to run again."""


class Metadata(BaseModel):
    """The part of Kubernetes' metadata that a request needs. The rest is ignored."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=NAME_LENGTH)]
    namespace: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", max_length=63)] = "default"


class TrainingRequest(Settings):
    """One document.

    A preset or a profile may fill the fields of `spec` that are not set (`model_fields_set`).
    """

    api_version: Literal["tunesmith.dev/v1alpha1"]
    kind: Literal["TrainingRequest"]
    metadata: Metadata
    spec: Spec
    status: dict[str, JsonValue] | None = None


def parse(document: object) -> TrainingRequest:
    """The request in a document that was read from YAML or JSON.

    Raises BadRequest with every problem in it, and no other exception, whatever the document is.
    """
    if problem := problem_with(document):
        raise BadRequest(f"{_called(document)} cannot be read", problems=[problem])
    if not isinstance(document, dict):
        why = "a request is a mapping with apiVersion, kind, metadata and spec"
        raise BadRequest("not a TrainingRequest", problems=[Problem("", why, document)])
    pruned: dict[str, Any] = without_nulls(document)
    problems: list[Problem] = []
    request = None
    try:
        request = TrainingRequest.model_validate_json(json.dumps(pruned))
    except ValidationError as error:
        problems = problems_in(error)
    spec = pruned.get("spec")
    if isinstance(spec, dict):
        problems += [*broken_rules(spec), *_too_large(spec)]
    if problems or request is None:
        raise refused(pruned, problems)
    return request


def refused(document: object, problems: Sequence[Problem]) -> BadRequest:
    """The error for a document that is no request, or none that can run."""
    count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
    return BadRequest(f"{_called(document)} cannot run: {count}", problems=problems)


def _called(document: object) -> str:
    """What messages call a request, which may be wrong in any way."""
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"request {name[:63] if isinstance(name, str) and name else '(without a name)'}"


def without_nulls(value: Any) -> Any:
    """The value without its null members, which the API server prunes too: null means not set.

    In a JSON Schema null is a value, and stays.
    """
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
# Of a ConfigMap's 1 MiB. The rest is for resolved values, their sources, and the profile.
_SPEC_BYTES = 600_000


def _too_large(spec: Mapping[str, Any]) -> Iterator[Problem]:
    as_in_a_snapshot = json.dumps([spec], ensure_ascii=False, indent=1)
    size = len(as_in_a_snapshot.encode("utf-8", "surrogatepass"))
    if size > _SPEC_BYTES:
        why = f"has {size:,} bytes, more than the {_SPEC_BYTES:,} that fit into a snapshot"
        yield Problem("spec", why, remedy="move long data to a file and name it in data.source")


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


def problems_in(error: ValidationError, *within: str) -> list[Problem]:
    """What pydantic found, in our words. `within`: steps to the place that it was asked about."""
    found = error.errors(include_url=False)
    return [_problem({**details, "loc": (*within, *details["loc"])}) for details in found]


def _problem(details: ErrorDetails) -> Problem:
    """What pydantic found, in our words."""
    path = dotted(details["loc"])
    value = None if _may_be_secret(details["loc"]) else details["input"]
    match details["type"]:
        case "extra_forbidden":
            return Problem(path, "unknown field", remedy=_meant_field(details["loc"]))
        case "literal_error":
            allowed = re.findall(r"'([^']*)'", details["ctx"]["expected"])
            return Problem(
                path, f"must be one of {', '.join(allowed)}", value, _did_you_mean(str(value), allowed)
            )
        case "missing":
            return Problem(path, "is missing", remedy="add it")
        case "too_long":
            most = details["ctx"]["max_length"]
            return Problem(path, f"must have at most {most} item{'s' * (most != 1)}", value)
        case _:
            context = details.get("ctx", {})
            bound = context.get("pattern", context.get("le"))
            return Problem(path, _in_words(details), value, HINTS.get(bound, ""))


def _may_be_secret(location: tuple[int | str, ...]) -> bool:
    """Whether people may have put a key there by mistake, which no message repeats."""
    return any(pair in (("teacher", "headers"), ("teacher", "query")) for pair in pairwise(location))


def _in_words(details: ErrorDetails) -> str:
    if details["type"] in _WORDS:
        return _WORDS[details["type"]]
    text = details["msg"][:1].lower() + details["msg"][1:]
    for beginning in ("input should ", "string should ", "tuple should "):
        text = text.removeprefix(beginning)
    return f"must {text}" if text.startswith(("be ", "have ", "match ")) else text


def _meant_field(location: tuple[int | str, ...]) -> str:
    fields = _names_at(location[:-1])
    guess = _did_you_mean(_camel(str(location[-1])), fields)
    return guess or f"see {DOCUMENTATION}docs/reference/request.md for the fields"


def _did_you_mean(word: str, words: list[str]) -> str:
    guesses = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean {guesses[0]!r}?" if guesses else ""


def dotted(location: tuple[int | str, ...]) -> str:
    """A field path as people and Kubernetes write it: `spec.stages.train.tolerations[0].key`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in location]
    return "".join(steps).removeprefix(".")


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
