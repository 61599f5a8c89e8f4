"""Whose events are worth a call, and when to look again: a table."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tunesmith_controller.event_reader import Stuck, stuck

NOW = datetime(2026, 11, 23, 10, 10, 0, tzinfo=UTC)


def job(age: int, **more: Any) -> dict[str, Any]:
    at = f"2026-11-23T10:{(600 - age) // 60:02}:{(600 - age) % 60:02}Z"
    spec, status = more.pop("spec", {}), more.pop("status", {})
    return {
        "metadata": {"name": "j", "uid": "job", "creationTimestamp": at, **more},
        "spec": spec,
        "status": status,
    }


def pod(age: int, phase: str, node: str) -> dict[str, Any]:
    spec = {"nodeName": node} if node else {}
    owner = [{"kind": "Job", "name": "j", "uid": "job"}]
    return {
        "metadata": {**job(age)["metadata"], "uid": "pod", "ownerReferences": owner},
        "spec": spec,
        "status": {"phase": phase},
    }


def with_conditions(item: dict[str, Any]) -> dict[str, Any]:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return item | {"status": item["status"] | {"conditions": [scheduled]}}


DONE = {"conditions": [{"type": "Failed", "status": "True"}]}
CASES = {
    "a Job that was just made gets five seconds": ([job(2)], [], [], 3.1),
    "a Job without a pod is looked into after five": ([job(6)], [], [Stuck("job", 6)], 15),
    "less often the longer it takes": ([job(80)], [], [Stuck("job", 80)], 40),
    "but each minute at least": ([job(500)], [], [Stuck("job", 500)], 60),
    "a Job that Kueue holds back does not hang": ([job(80, spec={"suspend": True})], [], [], None),
    "a Job that ended does not hang": ([job(80, status=DONE)], [], [], None),
    "a Job that is being deleted does not hang": ([job(80, deletionTimestamp="x")], [], [], None),
    "a pod without a node says why by itself": (
        [job(80)],
        [with_conditions(pod(70, "Pending", ""))],
        [],
        None,
    ),
    "unless no scheduler has looked at it": ([job(80)], [pod(70, "Pending", "")], [Stuck("pod", 70)], 35),
    "a pod that has a node and does not start is looked into": (
        [job(80)],
        [pod(70, "Pending", "n1")],
        [Stuck("pod", 70)],
        35,
    ),
    "a pod has twenty seconds to start": ([job(15)], [pod(12, "Pending", "n1")], [], 8.1),
    "a running pod does not hang": ([job(80)], [pod(70, "Running", "n1")], [], None),
}


@pytest.mark.parametrize(("jobs", "pods", "expected", "again"), CASES.values(), ids=CASES)
def test_stuck(jobs: list[Any], pods: list[Any], expected: list[Stuck], again: float | None) -> None:
    assert stuck(jobs, pods, NOW) == (expected, again if again is None else pytest.approx(again))
