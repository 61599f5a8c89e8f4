"""The real controller with its account from the chart, on a real API server: it gets no 403 in its scope."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml
from control_plane import free_ports
from rendering import CHART, STORE, helm

CRD = "trainingrequests.tunesmith.dev"
REQUEST = """
apiVersion: tunesmith.dev/v1alpha1
kind: TrainingRequest
metadata: {name: polite}
spec: {task: Answer politely., model: {base: "hf://org/name"}}
"""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def rendered(namespace, values, folder):
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    done = helm(
        "template", "tunesmith", str(CHART), "--namespace", namespace, "--values", str(file), "--no-hooks"
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


class Running:
    """The controller as a process, with the arguments of the Deployment and the token of its account."""

    def __init__(self, control_plane, namespace, documents, folder):
        account = next(document for document in documents if document["kind"] == "ServiceAccount")[
            "metadata"
        ]["name"]
        [pod] = [
            document["spec"]["template"]["spec"] for document in documents if document["kind"] == "Deployment"
        ]
        [config] = [
            document["data"]["config.yaml"] for document in documents if document["kind"] == "ConfigMap"
        ]
        (folder / "config.yaml").write_text(config)
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        given = [
            *pod["containers"][0]["args"],
            f"--config={folder / 'config.yaml'}",
            f"--metrics-address=127.0.0.1:{port}",
        ]
        kubeconfig = control_plane.kubeconfig_for(f"system:serviceaccount:{namespace}:{account}")
        env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
        self._log = (folder / "log").open("wb+")
        command = [sys.executable, *pod["containers"][0]["command"][1:], *given, f"--kubeconfig={kubeconfig}"]
        self.process = subprocess.Popen(command, env=env, stdout=self._log, stderr=self._log)

    def get(self, path):
        with DIRECT.open(self.url + path, timeout=5) as answer:
            return answer.read().decode()

    def log(self):
        self._log.flush()
        self._log.seek(0)
        return self._log.read().decode()[-4000:]

    def until(self, holds, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log()
            try:
                if value := holds():
                    return value
            except OSError:
                pass
            time.sleep(0.2)
        raise AssertionError(self.log())

    def calls(self, code):
        """`verb resource` of the calls that got this code."""
        samples = re.findall(r"^tunesmith_api_requests_total\{(.*?)\}", self.get("/metrics"), re.MULTILINE)
        labels = [dict(re.findall(r'(\w+)="(.*?)"', text)) for text in samples]
        return {f"{label['verb']} {label['resource']}" for label in labels if label["code"] == code}

    def stop(self):
        self.process.terminate()
        self.process.wait(40)
        self._log.close()


@pytest.fixture(params=["all namespaces", "one namespace"])
def working(request, control_plane, tmp_path):
    """Namespace of a request that the controller works on, and the controller."""
    namespace, team = control_plane.namespace(), control_plane.namespace()
    values = STORE if request.param == "all namespaces" else {**STORE, "scope": {"namespaces": [team]}}
    documents = rendered(namespace, values, tmp_path)
    control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(documents))
    control_plane.kubectl("wait", f"crd/{CRD}", "--for=condition=Established", "--timeout=30s")
    running = Running(control_plane, namespace, documents, tmp_path)
    yield team, running
    running.stop()
    control_plane.kubectl("delete", "-f", "-", "--wait=false", stdin=yaml.safe_dump_all(documents))
    control_plane.kubectl("delete", "crd", CRD, "--ignore-not-found")


def test_the_controller_works_with_the_rights_of_the_chart(working, control_plane):
    team, running = working
    running.until(lambda: running.get("/readyz"))
    running.until(lambda: "tunesmith_leader 1.0" in running.get("/metrics"))
    control_plane.kubectl("apply", "-n", team, "-f", "-", stdin=REQUEST)

    def first_job():
        return control_plane.kubectl("get", "jobs", "-n", team, "-o", "name").stdout

    running.until(first_job)
    control_plane.kubectl("delete", "treq", "polite", "-n", team)
    assert running.calls("403") == set(), running.log()
    assert {"create jobs", "patch trainingrequests/status", "create configmaps"} <= running.calls(
        "201"
    ) | running.calls("200")
