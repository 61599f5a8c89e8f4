"""Which release runs on a cluster, as far as the caller may see it: what may not be read is `unknown`, never an error."""

from collections.abc import Iterator, Mapping
from typing import Any

import tunesmith
from tunesmith.crd import custom_resource_definition, field_paths, schema_in
from tunesmith.documents import read_documents
from tunesmith.errors import TunesmithError
from tunesmith.wire import API_VERSION, GROUP, KIND, PLURAL
from tunesmith_cli.cluster.api import Api

UNKNOWN = "unknown"
_SECONDS = 3.0
_VERSION = "app.kubernetes.io/version"
_CONTROLLER = "app.kubernetes.io/part-of=tunesmith,app.kubernetes.io/component=controller"


def release(api: Api) -> dict[str, Any]:
    """The controller, the images of the stages, the CustomResourceDefinition, and what does not go together."""
    deployment = _controller(api)
    version, schema = _definition(api)
    known, there = set(_fields(schema_in(custom_resource_definition()))), set(_fields(schema))
    found = {
        "server": api.server,
        "controller": {
            "version": _label(deployment),
            "namespace": deployment.get("metadata", {}).get("namespace", UNKNOWN),
            "image": next((one["image"] for one in _containers(deployment)), UNKNOWN),
        },
        "images": _images(api, deployment),
        "crd": {
            "version": version,
            "missingFields": sorted(known - there) if schema else None,
            "newFields": sorted(there - known) if schema else None,
        },
    }
    return found | {"warnings": list(_warnings(found))}


def _warnings(found: Mapping[str, Any]) -> Iterator[str]:
    controller, definition = found["controller"]["version"], found["crd"]
    if controller != UNKNOWN and _minor(controller) != _minor(tunesmith.__version__):
        yield f"the controller is {controller} and this command line {tunesmith.__version__}: use the same minor version"
    if missing := definition["missingFields"]:
        yield f"the CustomResourceDefinition lacks {_some(missing)}, which would be refused or dropped: upgrade the chart"
    if new := definition["newFields"]:
        yield f"the CustomResourceDefinition has {_some(new)}, which this command line does not know: upgrade it"


def _some(fields: list[str]) -> str:
    more = f" and {len(fields) - 3} more" if len(fields) > 3 else ""
    return f"{', '.join(fields[:3])}{more}"


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _read(api: Api, path: str, query: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    """What is at a path; empty if it is not there, or not for this caller."""
    try:
        return api.get(path, query or (), seconds=_SECONDS)
    except TunesmithError:
        return {}


def _controller(api: Api) -> dict[str, Any]:
    """The controller's Deployment: of the whole cluster, else of the namespace that is meant."""
    for path in ("/apis/apps/v1/deployments", f"/apis/apps/v1/namespaces/{api.namespace}/deployments"):
        if items := _read(api, path, [("labelSelector", _CONTROLLER)]).get("items"):
            return dict(items[0])
    return {}


def _containers(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(deployment["spec"]["template"]["spec"]["containers"]) if deployment else []


def _images(api: Api, deployment: Mapping[str, Any]) -> dict[str, str] | None:
    """Images of the stages, from the controller's configuration; None where it may not be read."""
    if not deployment:
        return None
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or ()
    names = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
    for name in names:
        text = (
            _read(api, f"/api/v1/namespaces/{deployment['metadata']['namespace']}/configmaps/{name}")
            .get("data", {})
            .get("config.yaml")
        )
        if text:
            [config] = read_documents(text)
            return {
                stage: image
                for stage, image in config.get("images", {}).items()
                if stage in ("generate", "train", "merge")
            }
    return None


def _definition(api: Api) -> tuple[str, Mapping[str, Any]]:
    """Version and schema of the CustomResourceDefinition. Its schema is served to everybody who has logged in."""
    definition = _read(api, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}")
    if schema := schema_in(definition):
        return _label(definition), schema
    schemas = _read(api, f"/openapi/v3/apis/{API_VERSION}").get("components", {}).get("schemas", {})
    return UNKNOWN, next((schema for name, schema in schemas.items() if name.endswith(f".{KIND}")), {})


def _label(thing: Mapping[str, Any]) -> str:
    return str((thing.get("metadata", {}).get("labels") or {}).get(_VERSION, UNKNOWN))


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    """Paths of the fields of `spec` and `status`."""
    for path in field_paths(schema):
        if path.partition(".")[0] in ("spec", "status") and "{}" not in path:
            yield path.replace("[]", "")
