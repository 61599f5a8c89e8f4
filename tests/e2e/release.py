"""The chart's tryout on a cluster, installed once for all tests of this folder, and a user's commands."""

import base64
import fcntl
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import yaml

ROOT = Path(__file__).parents[2]
NAMESPACE = "tunesmith"
VALUES = Path(__file__).parent / "values.yaml"
IMAGES = {
    name: {"repository": f"localhost/tunesmith-{name}", "tag": "dev"}
    for name in ("controller", "generate", "train", "merge", "tryout")
}


class Release:
    """The installed chart. `kubectl`, `tunesmith` and `helm` use namespace `default` by default."""

    def __init__(self, cluster) -> None:
        self.cluster = cluster

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return self.cluster.kubectl(*arguments, stdin=stdin, check=check)

    def helm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.cluster.helm(*arguments)

    def tunesmith(
        self, *arguments: str, check: bool = True, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """`kubectl tunesmith …`, without any credentials of the store in the environment."""
        command = [
            str(Path(sys.executable).parent / "kubectl-tunesmith"),
            *arguments,
            "--kubeconfig",
            str(self.cluster.kubeconfig),
        ]
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "NO_COLOR": "1",
            "KUBECONFIG": str(self.cluster.kubeconfig),
        }
        with self.cluster.answers():
            done = subprocess.run(
                command, capture_output=True, text=True, env=env, timeout=timeout, check=False
            )
        assert not check or done.returncode == 0, (
            f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def install(self, *more: str) -> None:
        """Install or upgrade, and wait until everything is ready."""
        with VALUES.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # helm refuses a second change of a release meanwhile
            self.helm(
                *(
                    "upgrade",
                    "--install",
                    "tunesmith",
                    str(ROOT / "helm/tunesmith"),
                    "--namespace",
                    NAMESPACE,
                    "--create-namespace",
                ),
                *(
                    "--values",
                    str(VALUES),
                    "--set",
                    "tryout.enabled=true",
                    "--wait",
                    "--timeout",
                    "5m",
                    *more,
                ),
            )

    def apply(self, name: str, *, namespace: str = "default", **spec) -> None:
        """Apply a request."""
        document = {
            "apiVersion": "tunesmith.dev/v1alpha1",
            "kind": "TrainingRequest",
            "metadata": {"name": name},
            "spec": spec,
        }
        self.kubectl("apply", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(document))

    def request(self, name: str, namespace: str = "default") -> dict:
        """The request as JSON."""
        return json.loads(self.kubectl("get", "treq", name, "-n", namespace, "-o", "json").stdout)

    def secret(self, name: str) -> dict[str, str]:
        """The values of a Secret."""
        data = json.loads(self.kubectl("get", "secret", name, "-o", "json").stdout)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def paid(self, task: str) -> int:
        """The scripted teacher's answers for a task since it started; a real teacher would bill them."""
        proxy = f"/api/v1/namespaces/{NAMESPACE}/services/tunesmith-tryout-teacher:http/proxy"
        path = f"{proxy}/stats?about={quote(task)}"
        return int(json.loads(self.kubectl("get", "--raw", path).stdout)["calls"])

    def jobs(self, name: str, stage: str = "") -> list[dict]:
        """Its Jobs."""
        selector = f"tunesmith.dev/request={name}" + (f",tunesmith.dev/stage={stage}" if stage else "")
        return json.loads(self.kubectl("get", "jobs", "-l", selector, "-o", "json").stdout)["items"]

    def pods(self, name: str, stage: str = "") -> list[dict]:
        """Its pods, the oldest first."""
        selector = f"tunesmith.dev/request={name}" + (f",tunesmith.dev/stage={stage}" if stage else "")
        items = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json").stdout)["items"]
        return sorted(items, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def until(self, what: str, holds, timeout: float = 120.0, every: float = 1.0):
        """Wait until `holds()` is true; returns its value. Each call takes a tenth of a second of a core."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if value := holds():
                return value
            time.sleep(every)
        raise AssertionError(f"not within {timeout:.0f} s: {what}")

    def wait_for_end(self, name: str, timeout: float) -> dict:
        """The request once it is Complete or Failed."""

        def ended():
            request = self.request(name)
            conditions = {
                condition["type"]: condition["status"]
                for condition in request.get("status", {}).get("conditions", [])
            }
            return request if "True" in (conditions.get("Complete"), conditions.get("Failed")) else None

        return self.until(f"{name} has ended; now:\n{self._describe(name)}", ended, timeout, every=2)

    def _describe(self, name: str) -> str:
        return self.kubectl("get", "treq", name, "-o", "wide", check=False).stdout


def run_in_pod(release: Release, script: str, env: dict[str, str]) -> None:
    """Run a script in a pod of generate's image."""
    name = f"e2e-run-{time.time_ns()}"
    container = {
        "name": "run",
        "image": "localhost/tunesmith-generate:dev",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", script],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }
    release.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(pod))
    release.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=120s")
    release.kubectl("delete", "pod", name, "--wait=false")
