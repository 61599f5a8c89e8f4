"""The custom resource's schema as JSON Schema, for completion and checks in editors. Pure."""

from collections.abc import Mapping
from typing import Any

from tunesmith.crd import custom_resource_definition
from tunesmith.wire import API_VERSION, KIND

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_OPEN = "x-kubernetes-preserve-unknown-fields"


def json_schema() -> dict[str, Any]:
    """The schema of a request in a file.

    It leaves rules over several fields (CEL) to `tunesmith validate`.
    """
    [version] = custom_resource_definition()["spec"]["versions"]
    root = _plain(version["schema"]["openAPIV3Schema"])
    root["properties"] |= {
        "apiVersion": root["properties"]["apiVersion"] | {"enum": [API_VERSION]},
        "kind": root["properties"]["kind"] | {"enum": [KIND]},
        "metadata": {
            "type": "object",
            "description": "Name, namespace, labels, annotations.",
            "required": ["name"],
        },
    }
    return (
        {"$schema": _DRAFT, "title": KIND} | root | {"required": ["apiVersion", "kind", "metadata", "spec"]}
    )


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema in plain JSON Schema, without Kubernetes' extensions.

    Exclusive bounds are written as JSON Schema has them, and unknown fields are refused.
    """
    result = {
        name: value
        for name, value in schema.items()
        if not name.startswith("x-kubernetes-") and name != "format"
    }
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if result.pop(exclusive, False):
            result[exclusive] = result.pop(bound)
    if "properties" in schema:
        result["properties"] = {name: _plain(field) for name, field in schema["properties"].items()}
        result["additionalProperties"] = bool(schema.get(_OPEN))
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), Mapping):
            result[inner] = _plain(schema[inner])
    return result
