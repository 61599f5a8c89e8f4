"""`logs` on a cluster: the pods' own lines through a real API server, kwok as the kubelet; machine lines are
no lines for people.
"""

import json
import threading
import time

import pytest
import yaml
from cluster.programs import program
from cluster_cli.statuses import KEYS, condition, row
from control_plane import free_ports, spawn
from kwok import STAGES

NODE = "node-of-logs"
LINES = [
    "2026-01-02T03:04:05.000000001Z stdout F reading the base model",
    "2026-01-02T03:04:06.000000001Z stdout F "
    '{"event":"progress","stage":"train","done":1,"total":2,"unit":"steps"}',
    "2026-01-02T03:04:07.000000001Z stdout F done\x1b[31m",
]


@pytest.fixture(scope="module")
def node(installed, tmp_path_factory):
    [server] = free_ports(1)
    folder = tmp_path_factory.mktemp("kwok")
    (folder / "stage.log").write_text("\n".join(LINES) + "\n")
    logs = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "stages"},
        "spec": {"logs": [{"containers": ["stage"], "logsFile": str(folder / "stage.log"), "follow": False}]},
    }
    config = folder / "kwok.yaml"
    config.write_text(STAGES.read_text() + "\n---\n" + yaml.safe_dump(logs))
    endpoint = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": server}},
    }
    room = {kind: {"cpu": "100", "memory": "1Ti", "pods": "100"} for kind in ("capacity", "allocatable")}
    labels = {"kubernetes.io/os": "linux"}
    made = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "labels": labels},
        "status": endpoint | room,
    }
    installed.kubectl("create", "-f", "-", stdin=json.dumps(made))
    with (folder / "kwok.log").open("wb") as log:
        command = [
            str(program("kwok")),
            f"--kubeconfig={installed.kubeconfig}",
            f"--config={config}",
            "--manage-all-nodes=true",
        ]
        command += ["--node-ip=127.0.0.1", f"--node-port={server}", f"--server-address=127.0.0.1:{server}"]
        process = spawn(command, log, folder)
    try:
        until = time.monotonic() + 60
        ready = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}{.spec.taints}"
        while installed.kubectl("get", "node", NODE, ready).stdout != "True":
            assert process.poll() is None, (folder / "kwok.log").read_text()[-2000:]
            assert time.monotonic() < until, (folder / "kwok.log").read_text()[-2000:]
            time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()
        installed.kubectl("delete", "node", NODE)


def job(cluster, uid, attempt):
    """A Job of the request, as the controller makes it."""
    labels = {
        "tunesmith.dev/request": "riddles",
        "tunesmith.dev/stage": "train",
        "tunesmith.dev/attempt": str(attempt),
    }
    owner = {
        "apiVersion": "tunesmith.dev/v1alpha1",
        "kind": "TrainingRequest",
        "name": "riddles",
        "uid": uid,
        "controller": True,
    }
    spec = {"restartPolicy": "Never", "containers": [{"name": "stage", "image": "none"}]}
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"riddles-train-{attempt}", "labels": labels, "ownerReferences": [owner]},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": spec}},
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(body))


def test_following_begins_before_the_pods_and_goes_on_across_attempts_to_the_end(node, cluster, monkeypatch):
    monkeypatch.setattr(
        "tunesmith_cli.cluster.logs.QUIET_SECONDS", 2.0
    )  # kwok goes on with a log after its container's end
    uid = cluster.create(status={"phase": "Running", "stages": [row("train", "Running", key=KEYS["train"])]})[
        "metadata"
    ]["uid"]

    def controller():
        time.sleep(1.5)
        for attempt in (1, 2):
            job(cluster, uid, attempt)
            cluster.kubectl(
                "wait", "--for=condition=Complete", f"job/riddles-train-{attempt}", "--timeout=60s"
            )
        cluster.status(
            "riddles", phase="Succeeded", stages=[row("train")], conditions=[condition("Complete")]
        )

    thread = threading.Thread(target=controller)
    thread.start()
    done = cluster("logs", "riddles", "-f", "--stage", "train")
    thread.join()
    assert done.stdout.splitlines() == ["reading the base model", "done"] * 2
    assert done.stderr.splitlines() == ["train: 1/2 steps"], "progress has its own rate"
    assert cluster("logs", "riddles", "--stage", "train").stdout == done.stdout
    headed = cluster("logs", "riddles").stdout.splitlines()
    assert [line[: line.index(", pod")] for line in headed if line.startswith("==>")] == [
        "==> train, attempt 1",
        "==> train, attempt 2",
    ]
