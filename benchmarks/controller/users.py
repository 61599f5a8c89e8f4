"""What users do: they create requests, each in a namespace of their own."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from control_plane import ControlPlane
from kubernetes import client

from tunesmith.wire import API_VERSION, GROUP, KIND, PLURAL, VERSION
from tunesmith_controller.api import connect


class Users:
    """Users of a control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        self._api = client.CustomObjectsApi(connect(str(plane.kubeconfig), connections=16))

    def create(self, space: str, name: str, **spec: Any) -> None:
        """One creates a request."""
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name, "namespace": space},
            "spec": {"task": "Answer riddles.", "model": {"base": "hf://org/base"}, **spec},
        }
        self._api.create_namespaced_custom_object(GROUP, VERSION, space, PLURAL, body)

    def create_all(self, spaces: list[str], each: int) -> None:
        """So many create requests at once."""

        def create(space: str) -> None:
            for number in range(each):
                self.create(space, f"r{number}")

        with ThreadPoolExecutor(len(spaces)) as users:
            list(users.map(create, spaces))

    def status(self, space: str, name: str) -> Mapping[str, Any]:
        """The status of a request."""
        item = self._api.get_namespaced_custom_object(GROUP, VERSION, space, PLURAL, name)
        status: Mapping[str, Any] = item.get("status") or {}
        return status

    def phases(self, space: str) -> list[tuple[str, str, float]]:
        """Every request of a namespace: name, phase, and age in seconds."""
        listed = self._api.list_namespaced_custom_object(GROUP, VERSION, space, PLURAL)
        now = datetime.now(UTC)
        return [
            (
                item["metadata"]["name"],
                str((item.get("status") or {}).get("phase")),
                (now - datetime.fromisoformat(item["metadata"]["creationTimestamp"])).total_seconds(),
            )
            for item in listed["items"]
        ]
