"""The cluster itself: what the product relies on is really there, and enforced. A few seconds each."""

import json
import time

import pytest
import yaml

IMAGE = "localhost/tunesmith-controller:dev"  # any image with a Python
SAFE = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@pytest.fixture(scope="module")
def namespace(cluster):
    """A namespace that enforces pod security `restricted`."""
    name = f"cluster-test-{time.time_ns() // 1_000_000 % 1_000_000_000}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(body))
    account = ("get", "serviceaccount", "default", "-n", name)
    _until(
        lambda: cluster.kubectl(*account, check=False).returncode == 0, "the namespace has its ServiceAccount"
    )
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


class Pods:
    """Pods that run a Python program, non-root and with a read-only root."""

    def __init__(self, cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace

    def start(self, name: str, program: str, limits: dict | None = None, **spec) -> None:
        container = {
            "name": "c",
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-uc", program],
            "securityContext": SAFE,
            "resources": {"limits": limits or {}},
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container],
                **spec,
            },
        }
        self.kubectl("create", "-f", "-", stdin=yaml.safe_dump(pod))

    def kubectl(self, *arguments: str, **options):
        return self._cluster.kubectl("-n", self._namespace, *arguments, **options)

    def said(self, *arguments: str) -> str:
        """What kubectl printed, even if it failed."""
        return self.kubectl(*arguments, check=False).stdout.strip()

    def end(self, name: str) -> tuple[int, str, str]:
        """Exit code, reason and log of a pod that has ended."""

        def terminated() -> dict | None:
            pod = json.loads(self.kubectl("get", "pod", name, "-o", "json").stdout)
            return pod["status"].get("containerStatuses", [{}])[0].get("state", {}).get("terminated")

        state = _until(terminated, f"{name} has ended")
        return state["exitCode"], state.get("reason", ""), self.kubectl("logs", name).stdout


@pytest.fixture
def pods(cluster, namespace):
    return Pods(cluster, namespace)


def _until(
    holds, what: str, seconds: float = 240
):  # after the images were loaded the disk may be busy for minutes
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return value


def test_a_pod_runs_as_nobody_special_and_cannot_write_its_root(pods):
    pods.start("nobody", "import os; print(os.getuid()); open('/x', 'w')")
    code, _, log = pods.end("nobody")
    said = log.splitlines()  # of two streams, in either order
    assert (code, "10001" in said, "Read-only file system" in log) == (1, True, True), log


def test_pod_security_restricted_is_enforced(cluster, namespace):
    refused = cluster.kubectl("run", "x", f"--image={IMAGE}", "-n", namespace, check=False)
    assert (refused.returncode, "violates PodSecurity" in refused.stderr) == (1, True), refused


SERVER = """
import http.server as h, os
os.chdir('/')
h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()
"""
CLIENT = """
import time, urllib.request
end = time.monotonic() + 30  # a Service is programmed somewhat after its pod is Ready
while True:
    try:
        print(urllib.request.urlopen("http://{}:8080/etc/hostname", timeout=20).read().decode())
        break
    except OSError:
        if time.monotonic() > end:
            raise
        time.sleep(0.5)
"""


def test_a_service_answers_by_its_name_and_a_name_outside_does_not_exist(pods):
    pods.start("web", SERVER)
    pods.kubectl("create", "service", "clusterip", "web", "--tcp=8080:8080")
    pods.kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=240s")
    pods.start("client", CLIENT.format("web"))
    assert pods.end("client")[::2] == (0, "web\n\n")
    pods.start("lost", "import socket; socket.gethostbyname('nobody.invalid')")
    code, _, log = pods.end("lost")
    assert (code, "gaierror" in log) == (1, True), log


def test_a_deleted_pod_may_save_its_state_and_ends_with_143(cluster, pods):
    save = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    open('/dev/termination-log', 'w').write('saved'); time.sleep(1); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, stop); print('ready'); time.sleep(600)"
    )
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "saves"},
        "spec": {
            "backoffLimit": 1,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [
                        {
                            "name": "c",
                            "image": IMAGE,
                            "command": ["python", "-uc", save],
                            "securityContext": SAFE,
                        }
                    ],
                }
            },
        },
    }
    pods.kubectl("create", "-f", "-", stdin=yaml.safe_dump(manifest))
    selector = ("get", "pods", "-l=job-name=saves", "-o=name")
    pod = _until(lambda: pods.said(*selector), "the Job has a pod").removeprefix("pod/")
    _until(lambda: "ready" in pods.said("logs", pod), "the pod has begun")
    pods.kubectl(
        "patch",
        "pod",
        pod,
        "--type=json",
        '-p=[{"op":"add","path":"/metadata/finalizers/-","value":"tunesmith.dev/look"}]',
    )
    pods.kubectl("delete", "pod", pod, "--wait=false")
    terminated = ".status.containerStatuses[0].state.terminated"
    state = f"-o=jsonpath={{{terminated}.exitCode}} {{{terminated}.message}}"
    seen = _until(lambda: pods.said("get", "pod", pod, state), "the pod has ended")
    pods.kubectl("patch", "pod", pod, "--type=merge", '-p={"metadata":{"finalizers":null}}')
    pods.kubectl("delete", "job", "saves")
    assert seen == "143 saved"


def test_a_memory_limit_kills(pods):
    pods.start("hungry", "x = bytearray(200 << 20); print(len(x))", limits={"memory": "64Mi"})
    assert pods.end("hungry") == (137, "OOMKilled", "")


def test_gpus_are_counted(cluster, pods):
    if not cluster.own:
        pytest.skip("only the project's own cluster has exactly two simulated GPUs")
    pods.start("two", "print('runs')", limits={"nvidia.com/gpu": "2"})
    assert pods.end("two") == (0, "Completed", "runs\n")
    pods.start("three", "print('runs')", limits={"nvidia.com/gpu": "3"})
    event = (
        "get",
        "events",
        "--field-selector=involvedObject.name=three,reason=FailedScheduling",
        "-o=jsonpath={.items[*].message}",
    )
    assert "Insufficient nvidia.com/gpu" in _until(
        lambda: pods.said(*event), "the scheduler has said why not"
    )
