"""`helm test`: its pods' program (files/check.py) with their account; that Helm creates and removes them.

The pods are a fake node's, which runs nothing; so the checks run here, as processes, with the pod's own
arguments and variables.
"""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from control_plane import kubectl
from rendering import CHART, RELEASE, helm
from seaweed import running as s3_running

CRD = "trainingrequests.tunesmith.dev"


class Installed:
    """A release whose replicas are ready, as far as the API server knows."""

    def __init__(self, control_plane, folder, endpoint):
        self.control_plane, self.namespace, self.team = (
            control_plane,
            control_plane.namespace(),
            control_plane.namespace(),
        )
        store = {"url": "s3://b/p", "endpoint": endpoint, "secret": "store-keys"}
        self.values = folder / "values.json"
        self.values.write_text(
            json.dumps({"profiles": {"default": {"store": store}}, "tests": {"namespaces": [self.team]}})
        )
        self.helm("install", str(CHART), "--values", str(self.values))
        self.kubectl("wait", "deployment/tunesmith-controller", "--for=condition=Available", "--timeout=60s")

    def kubectl(self, *arguments, **more):
        return kubectl(self.control_plane.kubeconfig, *arguments, "-n", self.namespace, **more)

    def helm(self, command, *arguments):
        done = helm(
            command,
            RELEASE,
            *arguments,
            "--namespace",
            self.namespace,
            "--kubeconfig",
            str(self.control_plane.kubeconfig),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def hooks(self, file):
        rendered = helm(
            *("template", RELEASE, str(CHART), "--namespace", self.namespace, "--values", str(self.values)),
            *("-s", f"templates/tests/{file}.yaml"),
        )
        assert rendered.returncode == 0, rendered.stderr
        return [document for document in yaml.safe_load_all(rendered.stdout) if document]

    def check(self, file, **more):
        """What a test's pod prints, by check, and its exit code."""
        documents = self.hooks(file)
        [pod] = [document for document in documents if document["kind"] == "Pod"]
        rights = yaml.safe_dump_all([document for document in documents if document["kind"] != "Pod"])
        [container] = pod["spec"]["containers"]
        env = (
            {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
            | {"KUBERNETES": "false"}
            | more
        )
        code = container["args"][0]
        if "serviceAccountName" in pod["spec"]:
            self.kubectl("apply", "-f", "-", stdin=rights)
            user = f"system:serviceaccount:{self.namespace}:{pod['spec']['serviceAccountName']}"
            kubeconfig = str(self.control_plane.kubeconfig_for(user))
            setup = f"import kubernetes.config; kubernetes.config.load_kube_config({kubeconfig!r})"
            code = f"{setup}\n{code}"
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        assert not done.stderr, done.stderr
        if "serviceAccountName" in pod["spec"]:
            self.kubectl("delete", "-f", "-", stdin=rights)
        return dict(line.split(": ", 1) for line in done.stdout.splitlines()), done.returncode

    def end(self, namespace, pod):
        """Once the pod exists, end it successfully, as its node would."""
        body = json.dumps({"status": {"phase": "Succeeded"}})
        command = ("patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=merge", "-p", body)
        end = time.monotonic() + 60
        while kubectl(self.control_plane.kubeconfig, *command, check=False).returncode:
            assert time.monotonic() < end, f"{pod} never came"
            time.sleep(0.3)

    def lease(self, renewed):
        """A lease, as a controller would hold it."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "tunesmith-controller", "namespace": self.namespace},
            "spec": {"holderIdentity": "replica-1", "leaseDurationSeconds": 15, "renewTime": renewed},
        }
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body))


@pytest.fixture(scope="module")
def installed(control_plane, fake_nodes, tmp_path_factory):
    with s3_running(tmp_path_factory.mktemp("s3")) as s3:
        release = Installed(control_plane, tmp_path_factory.mktemp("release"), s3.endpoint)
        yield release
        release.helm("uninstall")
        control_plane.kubectl("delete", "crd", CRD, "--ignore-not-found")


def now(ago=0):
    return (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_helm_makes_the_pods_waits_for_them_and_takes_their_rights_away_again(installed):
    with ThreadPoolExecutor(1) as pool:
        testing = pool.submit(installed.helm, "test", "--timeout", "60s")
        for namespace, pod in (
            (installed.namespace, "tunesmith-test"),
            (installed.team, "tunesmith-test-secrets"),
        ):
            installed.end(namespace, pod)
        printed = testing.result()
    assert printed.count("Succeeded") >= 2, printed
    left = installed.kubectl("get", "serviceaccounts,roles,rolebindings", "-o", "name").stdout
    assert "tunesmith-test" not in left
    assert (
        "tunesmith-test"
        not in installed.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name").stdout
    )


def test_an_installation_that_works_passes(installed):
    installed.lease(now())
    lines, code = installed.check("install")
    assert code == 0, lines
    assert lines["ok   the crd is served"] == "v1alpha1 served"
    assert lines["ok   the controller leads"] == "2 ready, replica-1 leads"
    assert lines["ok   a request is accepted"] == "dry run accepted"
    assert "answers" in lines["ok   store answers"]
    assert installed.kubectl("get", "treq", "-o", "name").stdout == ""


def test_a_lease_that_nobody_renews_fails(installed):
    installed.lease(now(ago=300))
    lines, code = installed.check("install")
    assert code == 1
    assert "the lease of replica-1 was last renewed at" in lines["FAIL the controller leads"]


def test_a_store_that_does_not_answer_fails_with_what_to_look_at(installed):
    installed.lease(now())
    nobody = json.dumps([{"check": "store_answers", "url": "http://127.0.0.1:9"}])
    lines, code = installed.check("install", CHECKS=nobody)
    assert code == 1
    assert "look at profiles.<name>.store.endpoint" in lines["FAIL store answers"]


def test_a_secret_is_looked_for_in_the_namespace_of_the_requests(installed):
    """The kubelet fills the variables from the Secret, if it is there; a missing one leaves them unset."""
    [pod] = installed.hooks("secrets")
    assert pod["metadata"]["namespace"] == installed.team
    references = {
        entry["name"]: entry["valueFrom"]["secretKeyRef"]
        for entry in pod["spec"]["containers"][0]["env"]
        if "valueFrom" in entry
    }
    assert [
        (reference["name"], reference["key"], reference["optional"]) for reference in references.values()
    ] == [
        ("store-keys", "AWS_ACCESS_KEY_ID", True),
        ("store-keys", "AWS_SECRET_ACCESS_KEY", True),
    ]
    lines, code = installed.check("secrets")
    assert code == 1
    assert "Secret store-keys in namespace" in lines["FAIL secret is there"]
    assert installed.check("secrets", **dict.fromkeys(references, "x"))[1] == 0


def test_no_check_at_all_is_no_success(installed):
    assert installed.check("secrets", CHECKS="[]") == ({}, 1)
