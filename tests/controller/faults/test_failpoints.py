"""The controller dies at a write, at each kind of them; the next one carries on, and nothing runs twice."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from control_plane import ControlPlane, free_ports
from controller.faults import failing_controller
from controller.shell import real
from controller.shell.test_process import CONFIG
from kwok import FakeNodes

STAGES = ("generate", "train", "merge", "evaluate")
# A request that runs undisturbed makes six writes of its status, four Jobs, one snapshot and one Event.
FAULTS = [
    *(f"{when}:create:configmaps:1" for when in ("before", "after")),
    *(f"after:patch:trainingrequests/status:{number}" for number in range(1, 7)),
    *(f"before:patch:trainingrequests/status:{number}" for number in (1, 3, 6)),
    *(f"{when}:create:jobs:{number}" for when in ("before", "after") for number in (1, 2, 4)),
    "after:create:events:1",
]


class Controllers:
    """Controllers of one namespace each, without a lease."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self._plane, self._folder = plane, folder
        self._config = folder / "config.yaml"
        self._config.write_text(json.dumps(CONFIG))
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, namespace: str, *faults: str) -> tuple[subprocess.Popen[bytes], Path]:
        """A controller and its log."""
        with self._lock:
            port = free_ports(1)[0]
        log = self._folder / f"{namespace}-{port}.log"
        command = [
            *(sys.executable, failing_controller.__file__, *faults, "--"),
            *(f"--config={self._config}", f"--kubeconfig={self._plane.kubeconfig}"),
            *(f"--namespaces={namespace}", "--no-leader-election"),
            *(f"--metrics-address=127.0.0.1:{port}", "--log-format=json"),
        ]
        env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=env)
        with self._lock:
            self._running.append(process)
        return process, log

    def stop(self) -> None:
        for process in self._running:
            process.kill()
            process.wait(30)


@pytest.fixture
def controllers(control_plane: ControlPlane, fake_nodes: FakeNodes, tmp_path: Path) -> Iterator[Controllers]:
    real.install(control_plane)
    started = Controllers(control_plane, tmp_path)
    yield started
    started.stop()
    control_plane.kubectl("delete", "treq", "-A", "--all", "--wait=false")


def test_it_dies_at_each_kind_of_write_and_nothing_is_lost_or_done_twice(
    controllers: Controllers, control_plane: ControlPlane
) -> None:
    spaces = {fault: control_plane.namespace() for fault in FAULTS}

    def run(fault: str) -> list[str]:
        namespace = spaces[fault]
        real.apply(control_plane, namespace, "riddles")
        first, _ = controllers.start(namespace, fault)
        died = first.wait(120)
        second, log = controllers.start(namespace)
        real.until(f"{fault}: the request ends", lambda: phase(control_plane, namespace) == "Succeeded", 120)
        second.terminate()
        second.wait(30)
        return [f"{fault}: {problem}" for problem in problems(control_plane, namespace, died, log)]

    with ThreadPoolExecutor(3) as runs:
        wrong = [problem for found in runs.map(run, FAULTS) for problem in found]
    assert wrong == []


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_controller_whose_clock_is_an_hour_off_ends_nothing_too_early(
    controllers: Controllers, control_plane: ControlPlane, seconds: int
) -> None:
    namespace = control_plane.namespace()
    deadlines = {stage: {"activeDeadlineSeconds": 600} for stage in STAGES}
    real.apply(control_plane, namespace, "riddles", stages=deadlines, ttlSecondsAfterFinished=600)
    _, log = controllers.start(namespace, f"clock:{seconds}")
    real.until("the request ends", lambda: phase(control_plane, namespace) in ("Succeeded", "Failed"), 120)
    status = real.get(control_plane, namespace, "treq", "riddles")["status"]
    assert status["phase"] == "Succeeded", status["message"]
    assert jobs(control_plane, namespace) == dict.fromkeys(STAGES, 1), "they are kept for ten minutes"
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    warnings = [line["message"] for line in lines if line["level"] == "warning"]
    assert len(warnings) == 1, "it says so once"
    assert "behind the API server's" in warnings[0]


def phase(plane: ControlPlane, namespace: str) -> str:
    return str((real.get(plane, namespace, "treq", "riddles").get("status") or {}).get("phase"))


def jobs(plane: ControlPlane, namespace: str) -> Counter[str]:
    return Counter(
        job["metadata"]["labels"]["tunesmith.dev/stage"] for job in real.listed(plane, namespace, "jobs")
    )


def problems(plane: ControlPlane, namespace: str, died: int, log: Path) -> Iterator[str]:
    """What is not as it should be after a run whose first controller died."""
    if died != failing_controller.DIED:
        yield f"the first controller ended with {died}"
    if jobs(plane, namespace) != dict.fromkeys(STAGES, 1):
        yield f"Jobs: {jobs(plane, namespace)}"
    if len(real.listed(plane, namespace, "configmaps")) != 2:  # with the cluster's own certificate
        yield "not one snapshot"
    attempts = [row["attempt"] for row in real.get(plane, namespace, "treq", "riddles")["status"]["stages"]]
    if attempts != [1] * len(STAGES):
        yield f"attempts: {attempts}"
    for line in log.read_text().splitlines():
        if line.startswith("{") and json.loads(line)["level"] in ("error", "warning"):
            yield line
