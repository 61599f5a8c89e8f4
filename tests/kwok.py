"""Pods by the thousand without a node: kwok, which plays the kubelet of one fake node on the session's
control plane.

A folder of tests takes it by `from kwok import fake_nodes` beside `control_plane` in its conftest.py. The
node has room for 10,000 pods and 8,000 GPUs. What a pod does, its annotations say (cluster/kwok/stages.yaml),
or, for pods that a test doesn't write itself, `behave`.
"""

import contextlib
import copy
import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from cluster.programs import program
from control_plane import ControlPlane, NotStarted, spawn

STAGES = Path(__file__).parent / "cluster" / "kwok" / "stages.yaml"
NODE = "fake"
PREFIX = "fake.tunesmith.dev/"
START_SECONDS = 60


@dataclass(frozen=True)
class Behaviour:
    """What pods of Jobs with these labels (in this namespace, if one is named) do, whatever their annotations
    say.

    `seconds`: how long they run, or `up_to` that long, drawn for each; `metrics` and `message`: as in the
    annotations. Of two that fit a pod, either may be taken.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    seconds: float = 1.0
    up_to: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    def annotations(self) -> dict[str, str]:
        """The same, as annotations of a pod."""
        told = {
            "exit-code": str(self.exit_code),
            "metrics": json.dumps(dict(self.metrics)),
            "reason": self.reason,
        }
        if self.message is not None:
            told["message"] = self.message
        return {PREFIX + name: value for name, value in told.items() if value}


class FakeNodes:
    """A running kwok."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @contextlib.contextmanager
    def behave(self, *behaviours: Behaviour) -> Iterator[None]:
        """Pods that finish from now on do as said; afterwards as their annotations say again."""
        self.start(behaviours)
        try:
            yield
        finally:
            self.start()

    def start(self, behaviours: tuple[Behaviour, ...] = ()) -> None:
        """Start kwok, or start it again with other behaviours; running pods begin their time anew."""
        self.stop()
        self._starts += 1
        config = self._plane.folder / f"kwok-{self._starts}.yaml"
        config.write_text(yaml.safe_dump_all(stages(behaviours), allow_unicode=True, width=10_000))
        log = config.with_suffix(".log")
        with log.open("wb") as output:
            command = [
                *(str(program("kwok")), f"--kubeconfig={self._plane.kubeconfig}", f"--config={config}"),
                *("--manage-all-nodes=true", "--node-ip=127.0.0.1"),
            ]
            self._process = spawn(command, output, self._plane.folder)
        self._wait(log)

    def stop(self) -> None:
        """Stop kwok: no pod moves any more, as when a node has lost its network."""
        if self._process:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        ready = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}{.spec.taints}'
        while self._plane.kubectl("get", "node", NODE, ready).stdout != "True":
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"kwok's node is not ready:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)


def stages(behaviours: tuple[Behaviour, ...] = ()) -> list[dict]:
    """The Stage objects, with a copy of pod-finish for each behaviour. Its weight 1 beats the 0 of what
    stages.yaml says. Pure.
    """
    documents = list(yaml.safe_load_all(STAGES.read_text()))
    finish = next(document for document in documents if document["metadata"]["name"] == "pod-finish")
    for number, behaviour in enumerate(behaviours):
        stage = copy.deepcopy(finish)
        stage["metadata"]["name"] = f"behaviour-{number}"
        spec = stage["spec"]
        spec["weight"] = 1
        spec["delay"] = {"durationMilliseconds": round(behaviour.seconds * 1000)}
        if behaviour.up_to:
            spec["delay"]["jitterDurationMilliseconds"] = round(behaviour.up_to * 1000)
        if behaviour.labels:
            spec["selector"]["matchLabels"] = dict(behaviour.labels)
        if behaviour.namespace:
            spec["selector"]["matchExpressions"].append(
                {"key": ".metadata.namespace", "operator": "In", "values": [behaviour.namespace]}
            )
        annotations = json.dumps(behaviour.annotations(), ensure_ascii=False)
        told = json.dumps(annotations, ensure_ascii=False)  # a string of the template's language
        filled = f"fromJson {told} }}}}".replace("\\", r"\\")
        template, count = re.subn(r'fromJson "\{\}" \}\}', filled, spec["next"]["statusTemplate"], count=1)
        assert count == 1, "stages.yaml: pod-finish no longer begins with what it was told"
        spec["next"]["statusTemplate"] = template
        documents.append(stage)
    return documents


def node() -> dict:
    """The fake node: room for what a large cluster holds."""
    room = {
        "cpu": "100k",
        "memory": "100Ti",
        "ephemeral-storage": "1Pi",
        "pods": "10k",
        "nvidia.com/gpu": "8k",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": {"kubernetes.io/os": "linux", "kubernetes.io/hostname": NODE}},
        "status": {
            "capacity": room,
            "allocatable": room,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        },
    }


@pytest.fixture(scope="session")
def fake_nodes(control_plane: ControlPlane) -> Iterator[FakeNodes]:
    """A fake node on the session's control plane."""
    control_plane.kubectl("create", "-f", "-", stdin=json.dumps(node()))
    nodes = FakeNodes(control_plane)
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.stop()
