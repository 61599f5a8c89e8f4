"""Controllers as processes, on a real control plane and its fake node.

A folder of tests takes `replicas` by `from controller.replicas import replicas` in its conftest.py.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from control_plane import ControlPlane, free_ports
from controller.shell import real
from kwok import FakeNodes

CONFIG = {
    "images": {"generate": "localhost/none:1", "train": "localhost/none:1", "merge": "localhost/none:1"},
    "profiles": {
        "default": {
            "store": {"url": "s3://bucket/runs", "secret": "store"},
            "defaults": {"training": {"device": "cpu"}},
        },
        "narrow": {"store": {"url": "s3://bucket/runs"}, "limits": {"requests": 2}},
    },
}


MAIN = ("-m", "tunesmith_controller.main")


class Replica:
    """One controller process. `program`: what Python runs; `config`: its settings."""

    def __init__(
        self,
        plane: ControlPlane,
        folder: Path,
        *arguments: str,
        kubeconfig: Path | None = None,
        program: Sequence[str] = MAIN,
        config: Mapping[str, Any] = CONFIG,
    ) -> None:
        self.port = free_ports(1)[0]
        self.log = folder / f"controller-{self.port}.log"
        settings = folder / "config.yaml"
        settings.write_text(json.dumps(config))
        command = [
            sys.executable,
            *program,
            f"--config={settings}",
            f"--kubeconfig={kubeconfig or plane.kubeconfig}",
        ]
        command += [f"--metrics-address=127.0.0.1:{self.port}", "--log-format=json", *arguments]
        env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, name: str) -> float:
        """The sum over all labels."""
        lines = [
            line for line in self.get("/metrics")[1].splitlines() if line.split("{")[0].split(" ")[0] == name
        ]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def calls(self) -> Counter[str]:
        """Calls to the API server by resource, and `all` but the lease's."""
        calls: Counter[str] = Counter()
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith("tunesmith_api_requests_total"):
                labels, count = line.rsplit(" ", 1)
                resource = labels.split('resource="')[1].split('"')[0]
                calls[resource] += int(float(count))
                calls["all"] += int(float(count)) if resource != "leases" else 0
        return calls

    def logged(self, level: str) -> list[dict[str, Any]]:
        lines = []
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
        return [line for line in lines if line["level"] == level]

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


class Replicas:
    """Starts replicas; all of them end with the test."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane, self.folder, self.all = plane, folder, list[Replica]()
        self.lease = f"test-{time.monotonic_ns()}"

    def start(self, *arguments: str, **settings: Any) -> Replica:
        replica = Replica(self.plane, self.folder, f"--lease-name={self.lease}", *arguments, **settings)
        self.all.append(replica)
        return replica

    def stop(self) -> None:
        """Kills them."""
        for replica in self.all:
            replica.stop(signal.SIGKILL)


@pytest.fixture
def replicas(control_plane: ControlPlane, fake_nodes: FakeNodes, tmp_path: Path) -> Iterator[Replicas]:
    """Replicas that are started in a test end with it, and so do its requests."""
    real.install(control_plane)
    started = Replicas(control_plane, tmp_path)
    yield started
    started.stop()
    control_plane.kubectl("delete", "treq", "-A", "--all", "--wait=false")
