"""The controller on a real API server with policies that change, refuse or remove its Jobs and pods."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from control_plane import ControlPlane
from controller.replicas import Replicas
from controller.shell import real
from kwok import Behaviour, FakeNodes

POLICIES = Path(__file__).parents[2] / "policies"
STAGES = ["generate", "train", "merge", "evaluate"]


@contextlib.contextmanager
def policy(plane: ControlPlane, name: str) -> Iterator[None]:
    """A policy of tests/policies, once the API server follows it; it takes a moment to hear of one."""
    text = (POLICIES / f"{name}.yaml").read_text(encoding="utf-8").replace("IMAGE", "localhost/none:1")
    plane.kubectl("apply", "-f", "-", stdin=text)
    time.sleep(3)
    try:
        yield
    finally:
        plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=text)
        time.sleep(1)


def ended(plane: ControlPlane, namespace: str, name: str, seconds: float = 120) -> dict[str, Any]:
    """The status of a request that has ended."""

    def status() -> dict[str, Any] | None:
        seen: dict[str, Any] = real.get(plane, namespace, "treq", name).get("status", {})
        return seen if seen.get("phase") in ("Succeeded", "Failed") else None

    return real.until(f"{name} has ended", status, seconds)  # type: ignore[no-any-return]


def attempts(status: dict[str, Any]) -> list[tuple[str, int]]:
    return [(row["name"], row["attempt"]) for row in status["stages"]]


def test_a_container_beside_each_stage_holds_up_none(replicas: Replicas, control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    with policy(control_plane, "beside"):
        replica = replicas.start()
        real.apply(control_plane, namespace, "meshed")
        status = ended(control_plane, namespace, "meshed")
    assert status["phase"] == "Succeeded", status
    assert attempts(status) == [(stage, 1) for stage in STAGES]
    messages = {row["message"] for row in status["stages"]}
    assert messages == {"container beside beside it kept its pod alive, so its Job is deleted"}
    real.until("its Jobs and pods are gone", lambda: not real.listed(control_plane, namespace, "jobs,pods"))
    assert replica.logged("error") == []


def test_a_stage_that_fails_beside_another_container_is_tried_as_often_as_it_may_be(
    replicas: Replicas, control_plane: ControlPlane, fake_nodes: FakeNodes
) -> None:
    namespace = control_plane.namespace()
    fails = Behaviour(namespace=namespace, exit_code=75, reason="Error")
    with policy(control_plane, "beside"), fake_nodes.behave(fails):
        replicas.start()
        real.apply(control_plane, namespace, "away", stages={"generate": {"retries": 1}})
        status = ended(control_plane, namespace, "away", 180)
    assert (status["phase"], status["reason"]) == ("Failed", "Fake")
    assert "a fake generate ended with 75 (the last of 2 failed tries)" in status["message"]
    assert attempts(status)[0] == ("generate", 1)


def test_a_final_failure_beside_another_container_is_final_at_once(
    replicas: Replicas, control_plane: ControlPlane, fake_nodes: FakeNodes
) -> None:
    namespace = control_plane.namespace()
    wrong = Behaviour(namespace=namespace, exit_code=78, reason="Error")
    with policy(control_plane, "beside"), fake_nodes.behave(wrong):
        replicas.start()
        real.apply(control_plane, namespace, "wrong")
        status = ended(control_plane, namespace, "wrong")
        assert (status["phase"], status["reason"]) == ("Failed", "Fake")
        assert "container beside beside it keeps the pod alive" in status["message"]
        real.until("its pod is gone", lambda: not real.listed(control_plane, namespace, "pods"))


def test_jobs_that_vanish_at_once_are_told_as_they_ended(
    replicas: Replicas, control_plane: ControlPlane, fake_nodes: FakeNodes
) -> None:
    good, bad = control_plane.namespace(), control_plane.namespace()
    wrong = Behaviour(namespace=bad, exit_code=78, reason="Error")
    with policy(control_plane, "gone-at-once"), fake_nodes.behave(wrong):
        replica = replicas.start()
        real.apply(control_plane, good, "riddles")
        real.apply(control_plane, bad, "wrong")
        status = ended(control_plane, good, "riddles")
        failed = ended(control_plane, bad, "wrong")
    assert status["phase"] == "Succeeded", status
    assert attempts(status) == [(stage, 1) for stage in STAGES]
    assert (failed["reason"], attempts(failed)[0]) == ("Fake", ("generate", 1))
    assert "a fake generate ended with 78" in failed["message"]
    real.until("no Job is left", lambda: not real.listed(control_plane, good, "jobs"))
    assert replica.logged("error") == []


def test_what_a_policy_adds_to_jobs_and_pods_stays(replicas: Replicas, control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    with policy(control_plane, "labels"):
        replicas.start()
        real.apply(control_plane, namespace, "riddles")
        status = ended(control_plane, namespace, "riddles")
    assert status["phase"] == "Succeeded", status
    assert attempts(status) == [(stage, 1) for stage in STAGES]
    items = real.listed(control_plane, namespace, "jobs") + real.listed(control_plane, namespace, "pods")
    assert len(items) == 2 * len(STAGES)
    assert {item["metadata"]["labels"]["example.com/owner"] for item in items} == {"platform"}


def test_what_a_policy_refuses_is_said_and_made_once_it_is_allowed(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    namespace = control_plane.namespace()
    with policy(control_plane, "cost-centre"):
        replicas.start()
        real.apply(control_plane, namespace, "riddles")
        status = real.until("it is refused", lambda: refused(control_plane, namespace))
        assert "denied request: every Job needs a label cost-centre" in status["message"]
    assert ended(control_plane, namespace, "riddles")["phase"] == "Succeeded"


@pytest.mark.parametrize("kind", ["jobs.batch", "configmaps"])
def test_a_quota_of_objects_is_named_and_waited_for(
    replicas: Replicas, control_plane: ControlPlane, kind: str
) -> None:
    namespace = control_plane.namespace()
    hard = {f"count/{kind}": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}}
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(quota))
    real.until("it counts", lambda: "used" in real.get(control_plane, namespace, "quota", "q")["status"])
    replicas.start()
    real.apply(control_plane, namespace, "riddles")
    status = real.until("it is refused", lambda: refused(control_plane, namespace, "QuotaExceeded"))
    assert f"quota q of namespace {namespace} is used up: count/{kind}=1 asked for" in status["message"]
    control_plane.kubectl("delete", "quota", "q", "-n", namespace)
    assert ended(control_plane, namespace, "riddles")["phase"] == "Succeeded"


def refused(plane: ControlPlane, namespace: str, reason: str = "FailedToCreate") -> dict[str, Any] | None:
    status: dict[str, Any] = real.get(plane, namespace, "treq", "riddles").get("status", {})
    return status if status.get("reason") == reason else None
