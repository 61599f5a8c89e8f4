"""What clusters do to Jobs and pods on their way: a container beside each stage's, Jobs that vanish."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from e2e.release import ROOT
from e2e.small import small
from e2e.test_failures import teacher_key

BESIDE = "localhost/tunesmith-generate:dev"
POLICIES = ROOT / "tests" / "policies"
pytestmark = pytest.mark.alone  # a policy changes the Jobs and pods of everybody


@contextmanager
def policy(tryout, name: str) -> Iterator[None]:
    """A policy of tests/policies, and a pause in which the API server hears of it."""
    if not tryout.cluster.own:
        pytest.skip("a policy would change what others run on their cluster")
    text = (POLICIES / f"{name}.yaml").read_text(encoding="utf-8").replace("IMAGE", BESIDE)
    tryout.kubectl("apply", "-f", "-", stdin=text)
    try:
        tryout.until(f"policy {name} is followed", lambda: followed(tryout, name), timeout=60)
        yield
    finally:
        tryout.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=text)


def followed(tryout, name: str) -> bool:
    """Whether a Job, or its pod, would come out changed; nothing is created."""
    labels = {"batch.kubernetes.io/job-name": "x"}
    container = {"name": "stage", "image": BESIDE, "securityContext": confined()}
    spec = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    if name == "beside":
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": labels}, "spec": spec}
        return len(dry_run(tryout, body)["spec"]["containers"]) == 2
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "x"},
        "spec": {"template": {"spec": spec}},
    }
    return dry_run(tryout, body)["spec"].get("ttlSecondsAfterFinished") == 0


def confined() -> dict:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def dry_run(tryout, body: dict) -> dict:
    answer = tryout.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(body))
    return json.loads(answer.stdout)


def attempts(status: dict) -> list[int]:
    return [row["attempt"] for row in status["stages"]]


@pytest.mark.timeout(1200)
def test_a_container_that_goes_on_beside_each_stage_holds_up_none(tryout):
    tryout.kubectl("delete", "treq", "meshed", "--ignore-not-found", "--wait")
    with policy(tryout, "beside"):
        tryout.apply("meshed", **small())
        status = tryout.wait_for_end("meshed", timeout=900)["status"]
    assert status["phase"] == "Succeeded", status
    assert attempts(status) == [1, 1, 1, 1]
    assert all("container beside beside it kept its pod alive" in row["message"] for row in status["stages"])
    tryout.until("no pod of it is left", lambda: not tryout.pods("meshed"), timeout=300)


@pytest.mark.timeout(900)
def test_a_stage_that_fails_beside_another_container_says_why(tryout):
    tryout.kubectl("delete", "treq", "meshed-wrong", "--ignore-not-found", "--wait")
    with policy(tryout, "beside"):
        teacher_key(tryout, good=False)
        tryout.apply("meshed-wrong", profile="bad-key", **small())
        status = tryout.wait_for_end("meshed-wrong", timeout=600)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "TeacherKeyRefused"), status
    assert "container beside beside it" in status["message"]
    assert attempts(status)[0] == 1
    tryout.until("no pod of it is left", lambda: not tryout.pods("meshed-wrong"), timeout=300)


@pytest.mark.timeout(1200)
def test_jobs_that_vanish_as_soon_as_they_have_ended_are_told_as_they_ended(tryout):
    tryout.kubectl("delete", "treq", "vanishing", "--ignore-not-found", "--wait")
    with policy(tryout, "gone-at-once"):
        tryout.apply("vanishing", **small())
        status = tryout.wait_for_end("vanishing", timeout=900)["status"]
    assert status["phase"] == "Succeeded", status
    assert attempts(status) == [1, 1, 1, 1]
    assert status["finished"][0]["metrics"], "the figures of a Job that is gone are kept"
    assert not tryout.jobs("vanishing")
