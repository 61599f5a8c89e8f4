"""Ten requests while everything that they stand on is killed, is away or is full: each ends as it should.

Some twenty minutes: `make e2e-full` runs it. TUNESMITH_SEED draws other faults at other moments.
"""

import json
import os
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
import yaml
from e2e.base import of_the_store
from e2e.cluster import PROGRAMS
from e2e.release import NAMESPACE, Release, run_in_pod
from e2e.small import TASK, small
from e2e.test_faults import kill_a_controller

SEED = int(os.environ.get("TUNESMITH_SEED", "20261201"))
NAMES = [f"chaos-{number}" for number in range(10)]
FULL = NAMES[-1]  # whose scratch volume is too small for the base model
IN_FLIGHT = 4  # of each request's calls of the teacher
AWAY = 120.0  # seconds that the store and the teacher are away
STORE = r"weed .*-dir=/data "  # the command line of the program in the S3 server's pod
TEACHER = "e2e-chaos-teacher"
PACE = (4.0, 12.0)  # seconds from one fault to the next
STAGES = ("generate", "train", "merge", "evaluate")
MINUTES = 45

pytestmark = [
    pytest.mark.alone,
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("TUNESMITH_LONG"), reason="`make e2e-full` runs it"),
]


@dataclass
class Faults:
    """What has been done to the cluster, and by what dice."""

    tryout: Release
    draw: random.Random
    done: Counter[str] = field(default_factory=Counter)
    store_back: float = 0.0  # when the store comes back; 0: it has not been away yet

    def next(self) -> None:
        """One fault, drawn; the store goes away once there is something to lose."""
        now = time.monotonic()
        if not self.store_back and self.done.total() >= 6:
            signal_store("STOP")
            self.store_back = now + AWAY
            self.done["the store stands still for two minutes"] += 1
            return
        if 0 < self.store_back < now:
            self.return_store()
        kinds: list[Callable[[], str]] = [self.controller, self.pod, self.pod, self.process]
        kinds += [lambda name=name: self.program(name) for name in PROGRAMS]
        self.done[self.draw.choice(kinds)()] += 1

    def return_store(self) -> None:
        """Let the store go on, if it stands still."""
        if 0 < self.store_back < float("inf"):
            signal_store("CONT")
            self.store_back = float("inf")

    def program(self, name: str) -> str:
        self.tryout.cluster.kill(name)
        return f"{name} killed"

    def controller(self) -> str:
        self.tryout.cluster.wait_for_apiserver()
        kill_a_controller(self.tryout, self.draw)
        return "controller killed"

    def pod(self) -> str:
        """Delete a pod of any stage: with the grace it asks for, or with none."""
        pods = [pod for pod in pods_of_all(self.tryout) if pod["status"].get("phase") == "Running"]
        if not pods:
            return "no pod to delete"
        pod = self.draw.choice(pods)["metadata"]
        grace = self.draw.choice([[], ["--grace-period=0", "--force"]])
        self.tryout.kubectl("delete", "pod", pod["name"], "--wait=false", *grace, check=False)
        return f"pod of {pod['labels']['tunesmith.dev/stage']} deleted"

    def process(self) -> str:
        """Kill the process of a stage, as the kernel does when a node's memory runs short; at most twice."""
        if sum(count for kind, count in self.done.items() if kind.startswith("process of")) >= 2:
            return self.pod()
        stages = [stage for stage in STAGES if command_runs(stage)]
        if not stages:
            return "no process to kill"
        stage = self.draw.choice(stages)
        subprocess.run(["pkill", "-KILL", "-o", "-f", "--", command(stage)], check=False)
        return f"process of {stage} killed"


def command(stage: str) -> str:
    """A pattern of the command line of a stage's process."""
    return rf"-m tunesmith_jobs\.{stage}\b"


def command_runs(stage: str) -> bool:
    return (
        subprocess.run(["pgrep", "-f", "--", command(stage)], capture_output=True, check=False).returncode
        == 0
    )


def signal_store(number: str) -> None:
    """Stop or continue the S3 server's processes: connections stay open, and nobody answers."""
    subprocess.run(["pkill", f"-{number}", "-f", STORE], check=True)


def items(tryout: Release, kind: str, selector: str) -> list[dict]:
    """Objects of a kind; waits for an API server that is away."""
    for _ in range(120):
        done = tryout.kubectl("get", kind, "-l", selector, "-o", "json", check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)["items"]
        time.sleep(1)
    raise RuntimeError(done.stderr)


def pods_of_all(tryout: Release) -> list[dict]:
    return items(tryout, "pods", "tunesmith.dev/request")


def statuses(tryout: Release) -> dict[str, dict]:
    """By the name of the request."""
    requests = items(tryout, "treq", "e2e=chaos")
    return {request["metadata"]["name"]: request.get("status", {}) for request in requests}


def put_teacher(tryout: Release) -> None:
    """A teacher of its own, which fails for two minutes once some of its answers are paid for."""
    labels = {"app": TEACHER}
    arguments = ["--host=0.0.0.0", "--port=8080", "--latency=0.5", f"--fail=error,after=30,lasting={AWAY:g}"]
    container = {
        "name": "teacher",
        "image": "localhost/tunesmith-tryout:dev",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "tunesmith_tryout.scripted_teacher", *arguments],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    about = {"name": TEACHER, "labels": labels}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}
    ports = [{"name": "http", "port": 8080}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": about,
        "spec": {"selector": labels, "ports": ports},
    }
    tryout.kubectl("delete", "pod", TEACHER, "--ignore-not-found", "--wait")
    tryout.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([pod, service]))
    tryout.kubectl("wait", "--for=condition=Ready", f"pod/{TEACHER}", "--timeout=120s")


def asked(tryout: Release, task: str) -> dict[str, int]:
    path = f"/api/v1/namespaces/default/services/{TEACHER}:http/proxy/stats?about={quote(task)}"
    return json.loads(tryout.kubectl("get", "--raw", path).stdout)


def task_of(name: str) -> str:
    """By which the teacher counts."""
    return f"{TASK} This is {name}."


def apply_all(tryout: Release) -> None:
    documents = []
    for name in NAMES:
        spec = small(
            task=task_of(name),
            profile="chaos-full" if name == FULL else "chaos",
            data={"examples": 24, "teacher": {"maxConcurrency": IN_FLIGHT}},
            # Long enough to be measured by the kubelet, which does so once a minute.
            training={"maxSteps": 5000, "saveSteps": 5000} if name == FULL else {"maxSteps": 6},
        )
        documents.append(
            {
                "apiVersion": "tunesmith.dev/v1alpha1",
                "kind": "TrainingRequest",
                "metadata": {"name": name, "labels": {"e2e": "chaos"}},
                "spec": spec,
            }
        )
    tryout.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))


@pytest.fixture(scope="module")
def chaos(tryout):
    """The statuses of all requests at their end, and the faults until then."""
    if not tryout.cluster.own:
        pytest.skip("the programs of somebody else's cluster are not killed")
    tryout.kubectl("delete", "treq", "-l", "e2e=chaos", "--ignore-not-found", "--wait")
    put_teacher(tryout)
    apply_all(tryout)
    faults = Faults(tryout, random.Random(SEED))
    end = time.monotonic() + 60 * MINUTES
    try:
        while not all_ended(seen := statuses(tryout)):
            assert time.monotonic() < end, summary(seen, faults)
            # The kubelet measures volumes once a minute, and anew after each kill: FULL ends in peace.
            if not all_ended({name: status for name, status in seen.items() if name != FULL}):
                faults.next()
            time.sleep(faults.draw.uniform(*PACE))
    finally:
        faults.return_store()
    tryout.cluster.wait_for_apiserver()
    print(summary(seen, faults))
    yield statuses(tryout), faults
    tryout.kubectl("delete", "treq", "-l", "e2e=chaos", "--ignore-not-found", "--wait")
    tryout.kubectl("delete", "pod,service", TEACHER, "--wait=false")


def all_ended(seen: dict[str, dict]) -> bool:
    return {status.get("phase") for status in seen.values()} <= {"Succeeded", "Failed"}


def summary(seen: dict[str, dict], faults: Faults) -> str:
    rows = [f"{name}: {status.get('phase')}, {status.get('message')}" for name, status in seen.items()]
    return "\n".join([f"seed {SEED}", *rows, *(f"{count} x {kind}" for kind, count in faults.done.items())])


@pytest.mark.timeout(60 * (MINUTES + 5))
def test_each_request_ends_as_it_should(chaos):
    seen, faults = chaos
    ends = {name: (status["phase"], status["reason"]) for name, status in seen.items()}
    assert ends == dict.fromkeys(NAMES, ("Succeeded", "Complete")) | {FULL: ("Failed", "ScratchFull")}, (
        summary(seen, faults)
    )


def test_nothing_runs_again_once_it_has_succeeded(tryout, chaos):
    """Of each stage one Job has completed, and none began after that."""
    seen, _ = chaos
    jobs = items(tryout, "jobs", "tunesmith.dev/request")
    for name, status in seen.items():
        rows = [row for row in status["stages"] if row["phase"] == "Succeeded"]
        assert len(rows) == (1 if name == FULL else 4)
        for row in rows:
            of_it = [job for job in jobs if is_of(job, name, row["name"])]
            ended = [job["status"]["completionTime"] for job in of_it if "completionTime" in job["status"]]
            assert len(ended) == 1, (name, row)
            assert max(job["metadata"]["creationTimestamp"] for job in of_it) <= ended[0], (name, row)


def is_of(job: dict, name: str, stage: str) -> bool:
    labels = job["metadata"]["labels"]
    return (labels["tunesmith.dev/request"], labels["tunesmith.dev/stage"]) == (name, stage)


def test_every_paid_answer_is_kept(tryout, chaos):
    """The same call is paid for again only when it was in flight as its pod was killed."""
    _, faults = chaos
    repeated = {name: asked(tryout, task_of(name))["repeated"] for name in NAMES}
    kills = sum(count for kind, count in faults.done.items() if re.match(r"(pod|process) of generate", kind))
    assert sum(repeated.values()) <= kills * IN_FLIGHT, (repeated, faults.done)


_NO_UPLOADS = """
import boto3
s3 = boto3.client('s3')
left = [upload['Key'] for bucket in s3.list_buckets()['Buckets']
        for upload in s3.list_multipart_uploads(Bucket=bucket['Name']).get('Uploads', [])]
assert not [key for key in left if '/chaos-' in key], left
"""


def test_nothing_is_left_over(tryout, chaos):
    run_in_pod(tryout, _NO_UPLOADS, of_the_store(tryout))
    tryout.kubectl("delete", "treq", "-l", "e2e=chaos", "--wait")
    for kind in ("jobs", "pods", "configmaps"):
        tryout.until(
            f"no {kind} are left",
            lambda kind=kind: (
                not [item for item in items(tryout, kind, "tunesmith.dev/request") if of_chaos(item)]
            ),
            timeout=240,
        )


def of_chaos(item: dict) -> bool:
    return item["metadata"]["labels"]["tunesmith.dev/request"] in NAMES


def test_the_controllers_log_tells_of_no_bug(tryout, chaos):
    selector = "app.kubernetes.io/name=tunesmith,app.kubernetes.io/component=controller"
    log = tryout.kubectl("logs", "-n", NAMESPACE, "-l", selector, "--tail=-1").stdout
    assert "a bug in the controller" not in log
    assert "Traceback" not in log
