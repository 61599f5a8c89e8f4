"""Sending a request to the cluster: server-side apply, which changes nothing that somebody else set."""

from collections.abc import Mapping
from typing import Any

from tunesmith_cli.cluster.api import Api, Query
from tunesmith_cli.cluster.faults import Conflict, NotFound
from tunesmith_cli.cluster.manifests import Manifest
from tunesmith_cli.cluster.ownership import applied, is_unchanged, only_ours
from tunesmith_cli.cluster.requests import path_of

_STRICT: Query = [("fieldValidation", "Strict")]
_TRIES = 5  # each write of the controller's status costs one


def current(api: Api, namespace: str, name: str) -> dict[str, Any]:
    """A request as it is now; empty if there is none."""
    try:
        return api.get(path_of(namespace, name))
    except NotFound:
        return {}


def send(
    api: Api, manifest: Manifest, namespace: str, before: Mapping[str, Any], query: Query = ()
) -> dict[str, Any]:
    """Apply a request; the request as the API server then has it.

    Raises Conflict for fields that somebody else set.
    """
    name = manifest.request.metadata.name
    document = _placed(manifest, namespace)
    try:
        return api.apply(path_of(namespace, name), document, [*_STRICT, *query])
    except Conflict as error:
        if before and only_ours(error):
            return _over_our_acts(api, namespace, name, document, query)
        raise Conflict(
            f"{manifest.source}: somebody else set these fields of {name}",
            problems=error.problems,
            remedy="change them there, or take them over: "
            f"kubectl apply --server-side --force-conflicts -n {namespace} -f {manifest.source}",
        ) from error


def expected(manifest: Manifest, namespace: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """The request that `send` would give, found without asking the API server."""
    return applied(before, _placed(manifest, namespace))


def result(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """`created`, `configured` or `unchanged`."""
    if not before:
        return "created"
    return "unchanged" if is_unchanged(before, after) else "configured"


def _over_our_acts(
    api: Api, namespace: str, name: str, document: Mapping[str, Any], query: Query
) -> dict[str, Any]:
    """Take over what our own acts have set, and nothing that somebody else sets meanwhile: each try is for
    one version.
    """
    for _ in range(_TRIES):
        version = current(api, namespace, name).get("metadata", {}).get("resourceVersion", "")
        pinned = {**document, "metadata": {**document["metadata"], "resourceVersion": version}}
        try:
            return api.apply(path_of(namespace, name), pinned, [*_STRICT, *query])
        except Conflict as error:
            if error.problems and not only_ours(error):
                raise
            if error.problems:
                forced = _forced(api, namespace, name, pinned, query)
                if forced:
                    return forced
    raise Conflict(f"{name} changes all the time", remedy="run the same command again")


def _forced(api: Api, namespace: str, name: str, pinned: Mapping[str, Any], query: Query) -> dict[str, Any]:
    """The request after a forced apply; empty if it has another version by now."""
    try:
        return api.apply(path_of(namespace, name), pinned, [*_STRICT, ("force", "true"), *query])
    except Conflict:
        return {}


def _placed(manifest: Manifest, namespace: str) -> dict[str, Any]:
    return {**manifest.document, "metadata": {**manifest.document["metadata"], "namespace": namespace}}
