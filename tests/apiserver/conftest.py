"""A control plane with the CustomResourceDefinition, and a way to validate a request without storing it."""

import json
import re
import time
from dataclasses import dataclass
from typing import Any

import kubernetes
import pytest
from control_plane import ControlPlane, control_plane

from tunesmith.crd import custom_resource_definition
from tunesmith.wire import GROUP, PLURAL, VERSION

__all__ = ["control_plane"]

# What it says in addition: that rules come after fields, and a second time that a number is not a whole
# one.
_BESIDE = re.compile(r"some validation rules were not checked|Checked value must be of type integer")


@dataclass(frozen=True)
class Fault:
    """One thing that the API server refuses: the field's path, the kind of fault, the message."""

    path: str
    kind: str
    says: str


class Server:
    """The API server, asked as strictly as `kubectl --validate=strict` asks."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.namespace = plane.namespace()
        self._api = kubernetes.client.CustomObjectsApi(
            kubernetes.config.new_client_from_config(str(plane.kubeconfig))
        )

    def faults(self, document: dict[str, Any]) -> list[Fault]:
        """What is wrong with a request; empty if it would be stored."""
        try:
            self.create(document, dry_run="All")
        except kubernetes.client.ApiException as error:
            return _faults(json.loads(error.body))
        return []

    def create(self, document: dict[str, Any], **options: str) -> dict[str, Any]:
        place = (GROUP, VERSION, document["metadata"].get("namespace", self.namespace), PLURAL)
        return self._api.create_namespaced_custom_object(
            *place, document, field_validation="Strict", **options
        )

    def update_faults(self, document: dict[str, Any]) -> list[Fault]:
        """What is wrong with an edit of a stored request (merge patch: null removes)."""
        try:
            self._api.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                self.namespace,
                PLURAL,
                document["metadata"]["name"],
                document,
                dry_run="All",
                field_validation="Strict",
            )
        except kubernetes.client.ApiException as error:
            return _faults(json.loads(error.body))
        return []


def _faults(status: dict[str, Any]) -> list[Fault]:
    causes = status.get("details", {}).get("causes")
    if causes:
        return [
            Fault(cause["field"], cause["reason"], cause["message"])
            for cause in causes
            if not _BESIDE.search(cause["message"])
        ]
    if status["code"] == 413:
        return [Fault("spec", "RequestTooLarge", status["message"])]
    unknown = re.findall(r'unknown field "([^"]+)"', status["message"])
    assert unknown, status["message"]
    return [Fault(path, "UnknownField", status["message"]) for path in unknown]


@pytest.fixture(scope="session")
def server(control_plane: ControlPlane) -> Server:
    control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(custom_resource_definition()))
    deadline = time.monotonic() + 30
    while (
        "trainingrequests"
        not in control_plane.kubectl("get", "--raw", f"/apis/{GROUP}/{VERSION}", check=False).stdout
    ):
        assert time.monotonic() < deadline, control_plane.kubectl(
            "get", "crd", f"{PLURAL}.{GROUP}", "-o", "yaml"
        ).stdout
        time.sleep(0.2)  # `kubectl wait` fails at once where there is no condition yet
    return Server(control_plane)
