"""Which release runs on a cluster: what the caller may not read is `unknown`, never an error."""

from collections.abc import Iterator, Mapping
from typing import Any

import tunesmith
from tunesmith.crd import custom_resource_definition, field_paths, schema_in
from tunesmith.documents import read_documents
from tunesmith.errors import TunesmithError
from tunesmith.stages import STAGES
from tunesmith.wire import API_VERSION, GROUP, KIND, PLURAL
from tunesmith_cli.cluster.api import Api

UNKNOWN = "unknown"
_SECONDS = 3.0
_VERSION = "app.kubernetes.io/version"
_CONTROLLER = "app.kubernetes.io/part-of=tunesmith,app.kubernetes.io/component=controller"


def release(api: Api) -> dict[str, Any]:
    """The controller, the stages' images, the CustomResourceDefinition, and warnings where they differ."""
    deployment = _controller(api)
    version, schema = _definition(api)
    known = set(_fields(schema_in(custom_resource_definition())))
    there = set(_fields(schema))
    document = {
        "server": api.server,
        "controller": {
            "version": _label(deployment),
            "namespace": deployment.get("metadata", {}).get("namespace", UNKNOWN),
            "image": next((container["image"] for container in _containers(deployment)), UNKNOWN),
        },
        "images": _images(api, deployment),
        "crd": {
            "version": version,
            "missingFields": sorted(known - there) if schema else None,
            "newFields": sorted(there - known) if schema else None,
        },
    }
    return document | {"warnings": list(_warnings(document))}


def _warnings(document: Mapping[str, Any]) -> Iterator[str]:
    controller, definition = document["controller"]["version"], document["crd"]
    ours = tunesmith.__version__
    if controller != UNKNOWN and _minor(controller) != _minor(ours):
        yield f"the controller is {controller} and this command line {ours}: use the same minor version"
    crd = "the CustomResourceDefinition"
    if missing := definition["missingFields"]:
        yield f"{crd} lacks {_some(missing)}, which would be refused or dropped: upgrade the chart"
    if new := definition["newFields"]:
        yield f"{crd} has {_some(new)}, which this command line does not know: upgrade it"


def _some(fields: list[str]) -> str:
    more = f" and {len(fields) - 3} more" if len(fields) > 3 else ""
    return f"{', '.join(fields[:3])}{more}"


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _read(api: Api, path: str, query: list[tuple[str, str]] | None = None) -> dict[str, Any]:
    """What is at a path; empty if there is nothing, or the caller may not read it."""
    try:
        return api.get(path, query or (), seconds=_SECONDS)
    except TunesmithError:
        return {}


def _controller(api: Api) -> dict[str, Any]:
    """The controller's Deployment: from the whole cluster, else from the context's namespace."""
    for path in ("/apis/apps/v1/deployments", f"/apis/apps/v1/namespaces/{api.namespace}/deployments"):
        if items := _read(api, path, [("labelSelector", _CONTROLLER)]).get("items"):
            return dict(items[0])
    return {}


def _containers(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(deployment["spec"]["template"]["spec"]["containers"]) if deployment else []


def _images(api: Api, deployment: Mapping[str, Any]) -> dict[str, str] | None:
    """Images of the stages, from the controller's configuration; None if the caller may not read it."""
    if not deployment:
        return None
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or ()
    configmaps = f"/api/v1/namespaces/{deployment['metadata']['namespace']}/configmaps"
    of_stages = {kind.image for kind in STAGES.values()}
    for volume in volumes:
        if "configMap" not in volume:
            continue
        configmap = _read(api, f"{configmaps}/{volume['configMap']['name']}")
        if text := configmap.get("data", {}).get("config.yaml"):
            [config] = read_documents(text)
            return {name: image for name, image in config.get("images", {}).items() if name in of_stages}
    return None


def _definition(api: Api) -> tuple[str, Mapping[str, Any]]:
    """Version and schema of the CustomResourceDefinition. Every user may read the schema."""
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
