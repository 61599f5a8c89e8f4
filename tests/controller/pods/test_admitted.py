"""Jobs on a real API server, in a namespace that enforces Pod Security `restricted`, are admitted as is."""

import json
import time

import pytest

from tests.controller.pods.built_jobs import REQUEST, snapshot_map
from tests.controller.pods.test_job import EVERYTHING, OUTPUT, PLACED
from tunesmith.stages import ORDER
from tunesmith_controller.decide.pods import build_job

SECONDS = 60  # until the Job controller has made a pod
OWN_POD = {
    "gpuClaim": {"resourceClaimTemplateName": "one-gpu"},
    "schedulerName": "volcano",
    "jobLabels": {"cost-centre": "ml"},
    "jobAnnotations": {"example.com/seen": "yes"},
}
BY_CLAIM = {"pods": {"train": OWN_POD, "evaluate": OWN_POD}}
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


@pytest.fixture(scope="module")
def namespace(control_plane):
    """Holds what a Job of the profile with everything in it refers to."""
    name = control_plane.namespace(labels=RESTRICTED)
    for thing in (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer", "namespace": name}},
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "high"},
            "value": 1000,
        },
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "nvidia"},
            "handler": "nvidia",
        },
    ):
        control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(thing))
    return name


@pytest.mark.parametrize(
    ("spec", "profile"),
    [(OUTPUT, {}), (OUTPUT | PLACED, EVERYTHING), (OUTPUT | {"training.device": "cuda"}, BY_CLAIM)],
    ids=["the least", "all there is", "a GPU by a claim"],
)
def test_the_job_of_every_stage_is_taken_as_it_is_and_its_pod_let_in(control_plane, namespace, spec, profile):
    owner = {"metadata": REQUEST["metadata"] | {"namespace": namespace}}
    jobs = {
        stage: build_job(owner, stage, len(profile) + 1, snapshot_map(spec, profile), version="1.2.3")
        for stage in ORDER
    }
    for job in jobs.values():
        # No TrainingRequest is there to own it, and the garbage collector would take the Job away for that.
        own = {
            **job,
            "metadata": {name: value for name, value in job["metadata"].items() if name != "ownerReferences"},
        }
        made = control_plane.kubectl("create", "--validate=strict", "-f", "-", stdin=json.dumps(own))
        assert "warning" not in made.stderr.lower(), made.stderr
        assert list(_lost(own["spec"], _get(control_plane, namespace, own)["spec"])) == [], (
            "the API server drops a field without a word"
        )
    for stage, job in jobs.items():
        pod = _pod(control_plane, namespace, job["metadata"]["name"])
        assert pod["metadata"]["labels"]["tunesmith.dev/stage"] == stage
        assert pod["spec"]["containers"][0]["resources"] == _with_requests(
            job["spec"]["template"]["spec"]["containers"][0]["resources"]
        )


def test_the_namespace_refuses_what_is_not_restricted(control_plane, namespace):
    job = build_job(
        {"metadata": REQUEST["metadata"] | {"namespace": namespace}},
        "merge",
        9,
        snapshot_map(),
        version="1.2.3",
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": job["spec"]["template"]["spec"],
    }
    del pod["spec"]["securityContext"]
    refused = control_plane.kubectl("create", "-f", "-", stdin=json.dumps(pod), check=False)
    assert refused.returncode != 0
    assert "violates PodSecurity" in refused.stderr


def _get(control_plane, namespace, job):
    return json.loads(
        control_plane.kubectl("get", "job", job["metadata"]["name"], "-n", namespace, "-o", "json").stdout
    )


def _lost(sent, kept, path="spec"):
    """What was sent and is not there as it was.

    The API server fills in others, and leaves out what is empty.
    """
    if isinstance(sent, dict):
        for name, value in sent.items():
            if value not in ({}, [], "", False):
                yield from _lost(value, (kept or {}).get(name), f"{path}.{name}")
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        for number, (given, other) in enumerate(zip(sent, kept, strict=True)):
            yield from _lost(given, other, f"{path}[{number}]")
    elif sent != kept:
        yield path, sent, kept


def _with_requests(resources):
    """What Kubernetes makes of it: a limit without a request is the request too."""
    return {**resources, "requests": {**resources.get("limits", {}), **resources["requests"]}}


def _pod(control_plane, namespace, job):
    for _ in range(SECONDS * 2):
        listed = control_plane.kubectl(
            "get", "pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={job}", "-o", "json"
        )
        if items := json.loads(listed.stdout)["items"]:
            return items[0]
        time.sleep(0.5)
    events = control_plane.kubectl("get", "events", "-n", namespace).stdout
    raise AssertionError(f"Job {job} has no pod after {SECONDS} s:\n{events}")
