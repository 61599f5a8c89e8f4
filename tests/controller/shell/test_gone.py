"""The last states of what is gone: kept until the status tells them, and in bounds."""

from typing import Any

import pytest

from tunesmith.wire import ATTEMPT, KEY, REQUEST, STAGE
from tunesmith_controller import gone
from tunesmith_controller.caches import Caches
from tunesmith_controller.gone import LastStates, is_told

LABELS = {REQUEST: "riddles", STAGE: "train", KEY: "k", ATTEMPT: "2"}


def request(*rows: dict[str, Any], name: str = "riddles", uid: str = "r1") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "a", "uid": uid, "resourceVersion": "1"}
    return {"kind": "TrainingRequest", "metadata": metadata, "status": {"stages": list(rows)}}


def row(phase: str, attempt: int = 2) -> dict[str, Any]:
    return {"name": "train", "key": "k", "phase": phase, "attempt": attempt, "job": "j"}


def item(kind: str, uid: str, *, ended: bool = True) -> dict[str, Any]:
    state = {"terminated": {"exitCode": 0}} if ended else {"running": {}}
    status = {"containerStatuses": [{"name": "stage", "state": state}]} if kind == "Pod" else {}
    owner = {"kind": "TrainingRequest", "name": "riddles", "uid": "r1"}
    metadata = {"name": uid, "namespace": "a", "uid": uid, "labels": LABELS, "resourceVersion": "1"}
    owners = {"ownerReferences": [owner]} if kind == "Job" else {}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata | owners, "spec": {}, "status": status}


TOLD = {
    "it is not, while the attempt runs": ([row("Running")], False),
    "or is about to": ([row("Pending")], False),
    "or a Job is to go": ([row("Stopping")], False),
    "done": ([row("Succeeded")], True),
    "failed": ([row("Failed")], True),
    "another attempt is on": ([row("Pending", 3)], True),
    "the key is no longer wanted": ([row("Running") | {"key": "other"}], True),
    "nothing is told yet": ([], False),
}


@pytest.mark.parametrize(("rows", "told"), TOLD.values(), ids=TOLD)
def test_whether_the_status_tells_how_a_job_ended(rows: list[dict[str, Any]], told: bool) -> None:
    assert is_told(request(*rows), item("Job", "j")) is told


def test_what_the_watch_removes_is_kept_until_the_status_tells_it() -> None:
    caches = Caches()
    running = request(row("Running"))
    caches.requests.put(running)
    for each in (item("Job", "j"), item("Job", "stranger") | {"metadata": {"name": "s", "uid": "s"}}):
        caches.jobs.put(each)
        caches.jobs.remove(each)
    for each in (item("Pod", "p"), item("Pod", "unstarted", ended=False)):
        caches.pods.put(each)
        caches.pods.remove(each)
    assert [job["metadata"]["uid"] for job in caches.gone_jobs.of(running)] == ["j"]
    assert [pod["metadata"]["uid"] for pod in caches.gone_pods.of(running)] == ["p"]
    assert caches.gone_jobs.of(request(row("Succeeded"))) == []
    assert caches.gone_jobs.of(running) == [], "it is forgotten"


def test_what_is_told_when_it_goes_is_not_kept() -> None:
    kept = LastStates()
    kept.add(request(row("Succeeded")), item("Job", "j"))
    assert kept.of(request(row("Running"))) == []


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gone, "MOST", 3)
    monkeypatch.setattr(gone, "EACH", 2)
    kept = LastStates()
    for number in range(5):
        for uid in "abc":
            kept.add(request(row("Running"), name=f"r{number}"), item("Job", uid))
    assert [len(kept.of(request(row("Running"), name=f"r{number}"))) for number in range(5)] == [
        0,
        0,
        2,
        2,
        2,
    ]
    assert [job["metadata"]["uid"] for job in kept.of(request(row("Running"), name="r4"))] == ["b", "c"]
