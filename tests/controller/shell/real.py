"""Requests on the real API server: installs the definition, applies requests, reads their objects back."""

import json
import time
from collections.abc import Callable
from typing import Any

from control_plane import ControlPlane

from tunesmith.crd import custom_resource_definition
from tunesmith_controller.api import Api, connect
from tunesmith_controller.rate import TokenBucket


def install(plane: ControlPlane) -> None:
    """The CustomResourceDefinition, served."""
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(custom_resource_definition()))
    until("the definition is served", lambda: plane.kubectl("get", "treq", "-A", check=False).returncode == 0)


def real_api(plane: ControlPlane, **settings: Any) -> Api:
    return Api(connect(str(plane.kubeconfig)), TokenBucket(1000, 1000), **settings)


def apply(plane: ControlPlane, namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """Applies a request and returns it as the API server has it."""
    body = {
        "apiVersion": "tunesmith.dev/v1alpha1",
        "kind": "TrainingRequest",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"task": "Answer riddles.", "model": {"base": "hf://org/base"}, **spec},
    }
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    return get(plane, namespace, "treq", name)


def get(plane: ControlPlane, namespace: str, kind: str, name: str) -> dict[str, Any]:
    return json.loads(plane.kubectl("get", kind, name, "-n", namespace, "-o", "json").stdout)


def listed(plane: ControlPlane, namespace: str, kind: str) -> list[dict[str, Any]]:
    return json.loads(plane.kubectl("get", kind, "-n", namespace, "-o", "json").stdout)["items"]


def phases(plane: ControlPlane, namespace: str) -> set[str]:
    """The phases that requests of a namespace have."""
    return {str((item.get("status") or {}).get("phase")) for item in listed(plane, namespace, "treq")}


def job_manifest(request: dict[str, Any], name: str, uid: str = "") -> dict[str, Any]:
    """A Job of a request; `uid` for one that is somebody else's."""
    metadata = request["metadata"]
    labels = {
        "app.kubernetes.io/managed-by": "tunesmith",
        "tunesmith.dev/request": metadata["name"],
        "tunesmith.dev/stage": "generate",
    }
    owner = {
        "apiVersion": request["apiVersion"],
        "kind": request["kind"],
        "name": metadata["name"],
        "uid": uid or metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    container = {"name": "stage", "image": "localhost/none:1", "command": ["true"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {
            "template": {
                "metadata": {"labels": labels},
                "spec": {"restartPolicy": "Never", "containers": [container]},
            }
        },
    }


def until(what: str, holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Waits for something to hold, and returns it."""
    deadline = time.monotonic() + seconds
    while not (last := holds()):
        assert time.monotonic() < deadline, f"{what}: not so after {seconds} s"
        time.sleep(0.2)
    return last
