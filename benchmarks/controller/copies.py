"""Thousands of copies of a request with its objects, written into etcd: the API would take an hour for them.

The API server reads JSON from etcd for every kind. Each copy has a name, uids and a namespace of its own, so
that owners, Jobs, pods and snapshots belong together as in the original.
"""

import base64
import json
import re
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from control_plane import ControlPlane
from controller.shell import real

from tunesmith import children, wire

_AT_ONCE = 100  # puts of a transaction; etcd takes 128
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEYS = {
    "TrainingRequest": f"/registry/{wire.GROUP}/{wire.PLURAL}",
    "Job": "/registry/jobs",
    "Pod": "/registry/pods",
    "ConfigMap": "/registry/configmaps",
}


@dataclass(frozen=True)
class Original:
    """A request and its objects, as JSON."""

    name: str
    namespace: str
    items: tuple[str, ...]


def original(plane: ControlPlane, namespace: str, name: str) -> Original:
    """A request of the cluster with everything that it owns."""
    items = [real.get(plane, namespace, "treq", name)]
    for kind in ("configmaps", "jobs", "pods"):
        items += [
            item
            for item in real.listed(plane, namespace, kind)
            if (item["metadata"].get("labels") or {}).get(wire.REQUEST) == name
        ]
    for item in items:
        del item["metadata"]["resourceVersion"]
    return Original(name, namespace, tuple(json.dumps(item) for item in items))


def copies(source: Original, names: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Key and value in etcd of every object of every copy. `names`: namespace and name of each."""
    for namespace, name in names:
        for item in _copy(source, namespace, name):
            yield f"{_KEYS[item['kind']]}/{namespace}/{item['metadata']['name']}", json.dumps(item)


def put(plane: ControlPlane, entries: Iterator[tuple[str, str]]) -> int:
    """Writes entries into the control plane's etcd; returns how many."""
    count, batch = 0, list[dict[str, Any]]()
    for key, value in entries:
        pair = {"key": _base64(key), "value": _base64(value)}
        batch.append({"requestPut": pair})
        count += 1
        if len(batch) == _AT_ONCE:
            _commit(plane, batch)
            batch = []
    if batch:
        _commit(plane, batch)
    return count


def _copy(source: Original, namespace: str, name: str) -> list[dict[str, Any]]:
    seed = UUID(int=0)
    items = []
    for text in source.items:
        own = text.replace(source.name, name).replace(f'"{source.namespace}"', f'"{namespace}"')
        items.append(json.loads(_UID.sub(lambda found: str(uuid5(seed, name + found[0])), own)))
    request, *rest = items
    for item in rest:
        if item["kind"] == "ConfigMap":
            content = item["data"][wire.SNAPSHOT_FILE] + item["data"][wire.FROZEN_FILE]
            metadata = request["metadata"]
            item["metadata"]["name"] = children.snapshot_name(metadata["name"], metadata["uid"], content)
            request["status"]["snapshot"] = item["metadata"]["name"]
    return items


def _commit(plane: ControlPlane, puts: list[dict[str, Any]]) -> None:
    body = json.dumps({"success": puts}).encode()
    request = urllib.request.Request(f"{plane.etcd_url}/v3/kv/txn", data=body)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["succeeded"]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
