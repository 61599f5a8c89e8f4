"""Names and labels of a request's children on a cluster: Jobs, pods, the snapshot's ConfigMap. Pure.

The controller creates the children by these names, and the command line finds them.
"""

import hashlib
from collections.abc import Mapping

from tunesmith.wire import MANAGED_BY, MANAGER, REQUEST


def labels(request: str, component: str, version: str) -> dict[str, str]:
    """Recommended labels of a child.

    `app.kubernetes.io/instance` is left out, since GitOps tools would claim or prune the child by it.
    """
    return {
        "app.kubernetes.io/name": "tunesmith",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "tunesmith",
        "app.kubernetes.io/version": version,
        MANAGED_BY: MANAGER,
        REQUEST: request,
    }


def run_name(name: str, uid: str) -> str:
    """The run of a request that does not name one. A request that is deleted and applied again gets a new
    run.
    """
    return f"{name}-{uid.replace('-', '')[:8]}"


def job_name(name: str, uid: str, stage: str, key: str, attempt: int) -> str:
    """`<name>-<stage>-<8 hex>`, at most 57 characters for a name of 39.

    The same attempt always has the same name.
    """
    return f"{name}-{stage}-{_hex(uid, key, str(attempt))}"


def snapshot_name(name: str, uid: str, content: str) -> str:
    """Name of the ConfigMap that freezes a request.

    It follows from the content: writing the same content twice changes nothing, and other content cannot take
    its place.
    """
    return f"{name}-snapshot-{_hex(uid, content, digits=16)}"


def owner_reference(request: Mapping[str, str], api_version: str, kind: str) -> dict[str, object]:
    """The reference that makes an object a child of a request. `request`: its name and uid."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": request["name"],
        "uid": request["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _hex(*parts: str, digits: int = 8) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:digits]
