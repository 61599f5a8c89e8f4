"""The models -> CustomResourceDefinition: structural schema, CEL rules, printer columns, status subresource.
Pure.

Fields of `spec` have no default, since a stored default can't be told from a wish (resolve.py). Their
descriptions name the built-in one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from tunesmith.field_docs import field_docs, models_in
from tunesmith.request import NAME_LENGTH, Spec
from tunesmith.rules import RULES
from tunesmith.status import Status
from tunesmith.wire import GROUP, KIND, PLURAL, VERSION

_KEPT = (
    "type",
    "description",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
)
_ANY = {"$ref": "#/$defs/JsonValue"}
_FROZEN = ("profile", "queueName")
# Lists of the status that server-side apply merges by a key.
_MAP_LISTS = {"conditions": "type", "stages": "name"}


def custom_resource_definition() -> dict[str, Any]:
    """The whole object, ready to be written as YAML or JSON."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["treq"],
                "categories": ["tunesmith"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": _root(_spec(), _status())},
                }
            ],
        },
    }


def _spec() -> dict[str, Any]:
    spec = schema_of(Spec)
    for rule in RULES:
        if rule.cel:
            _validate(_at(spec, rule.path), rule.cel, rule.message, field=rule.field)
    for field in _FROZEN:
        _validate(
            spec,
            f"has(self.{field}) == has(oldSelf.{field})"
            f" && (!has(self.{field}) || self.{field} == oldSelf.{field})",
            f"{field} cannot be set, changed or removed later; delete the request and apply it again,"
            " with run: from its status to continue with what it has",
        )
    _validate(
        spec,
        "!has(oldSelf.run) || (has(self.run) && self.run == oldSelf.run)",
        "run cannot be changed or removed later, since the results of the request are there;"
        " give the request another name",
    )
    return spec


def _validate(schema: dict[str, Any], rule: str, message: str, *, field: str = "") -> None:
    """Add a CEL rule to a part of the schema."""
    validation = {"rule": rule, "message": message}
    if field:
        validation["fieldPath"] = f".{field}"
    schema.setdefault("x-kubernetes-validations", []).append(validation)


def _status() -> dict[str, Any]:
    status = schema_of(Status)
    for name, key in _MAP_LISTS.items():
        status["properties"][name] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    status["default"] = {"observedGeneration": -1}
    return status


def schema_in(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of this version in a CustomResourceDefinition; empty if the definition lacks the version."""
    for version in definition.get("spec", {}).get("versions", ()):
        if version["name"] == VERSION:
            schema: Mapping[str, Any] = version.get("schema", {}).get("openAPIV3Schema", {})
            return schema
    return {}


def field_paths(schema: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Paths of the fields of a schema, such as `spec.training.loraAlpha` and `status.conditions[].reason`.

    `{}` stands for the values of a mapping.
    """
    for name, inner in (schema.get("properties") or {}).items():
        path = f"{at}.{name}" if at else name
        yield path
        yield from field_paths(inner, path)
    for part, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(part), Mapping):
            yield from field_paths(schema[part], at + mark)


def _root(spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A task in plain words that becomes a fine-tuned, merged and tested model.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this schema."},
            "kind": {"type": "string", "description": "Kind of the object."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": [
            {
                "rule": f"size(self.metadata.name) <= {NAME_LENGTH} && !self.metadata.name.contains('.')",
                "message": (
                    f"must have at most {NAME_LENGTH} characters and no dot,"
                    " so that the names of its pods are not cut; give a shorter name"
                ),
                "fieldPath": ".metadata.name",
            }
        ],
    }


def _columns() -> list[dict[str, Any]]:
    def column(name: str, path: str, kind: str = "string", **more: Any) -> dict[str, Any]:
        return {"name": name, "type": kind, "jsonPath": path, **more}

    return [
        column("Phase", ".status.phase"),
        column("Stage", ".status.stage"),
        column("Progress", ".status.percent"),
        column("Reason", ".status.reason"),
        column("Age", ".metadata.creationTimestamp", "date"),
        column("Loss", ".status.loss", priority=1),
        column("Place", ".status.queuePlace", "integer", priority=1),
        column("Profile", ".spec.profile", priority=1),
        column("Base", ".spec.model.base", priority=1),
        column("Model", ".status.outputs.model", priority=1),
        column("Message", ".status.message", priority=1),
    ]


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The structural schema of a model: references inlined, nulls and defaults left out, defaults named in
    the descriptions.
    """
    root = model.model_json_schema(by_alias=True)
    definitions = root.get("$defs", {})
    for part in _parts(model):
        target = root if part is model else definitions[part.__name__]
        for name, text in field_docs(part).items():
            target["properties"][name]["description"] = text
    return _convert(root, definitions)


def _parts(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all that its fields lead to."""
    found: set[type[BaseModel]] = set()
    ahead = [model]
    while ahead:
        part = ahead.pop()
        if part not in found:
            found.add(part)
            ahead += [inner for field in part.model_fields.values() for inner in models_in(field.annotation)]
    return found


def _convert(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        target = _convert(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
        return target | {key: schema[key] for key in ("description",) if key in schema}
    alternatives = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if alternatives:
        [only] = alternatives  # a union of types is not structural; there is none
        return _convert(only, definitions) | {key: schema[key] for key in ("description",) if key in schema}
    result = {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in schema:
            result |= {bound: schema[exclusive], exclusive: True}
    if schema.get("type") == "integer":
        result["format"] = "int64"
    if "items" in schema:
        result["items"] = _convert(schema["items"], definitions)
    if "properties" in schema:
        result["properties"] = {
            name: _field(field, definitions) for name, field in schema["properties"].items()
        }
    elif (values := schema.get("additionalProperties")) and values != _ANY:
        result["additionalProperties"] = _convert(values, definitions)
    elif result.get("type") == "object" or "type" not in result:
        # A mapping of anything. CEL sees whether it is there, but not what it holds. It is one value, as
        # `managedFields` would otherwise be as deep as it is, and many times as large.
        result |= {"x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-map-type": "atomic"}
    return result


def _field(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    result = _convert(field, definitions)
    default = field.get("default")
    if default not in (None, "", [], {}) and "Built-in:" not in result.get("description", ""):
        text = "true" if default is True else "false" if default is False else default
        result["description"] = f"{result.get('description', '').rstrip()} Built-in: {text}.".strip()
    return result


def _at(schema: dict[str, Any], path: str) -> dict[str, Any]:
    for step in filter(None, path.split(".")):
        schema = schema["properties"][step]
    return schema
