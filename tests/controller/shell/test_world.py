"""What a World holds, from caches that may be behind."""

from datetime import UTC, datetime
from typing import Any

from controller.shell.played_server import Answer, Asked, playing

from tunesmith_controller.caches import Caches
from tunesmith_controller.decide.model import Event, Other
from tunesmith_controller.event_reader import EventReader
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.world import Gathered, Sources, gather, others, run_taken_by

NOW = datetime(2026, 11, 23, 10, 10, 0, tzinfo=UTC)
VERSION = "tunesmith.dev/v1alpha1"


def request(name: str, second: int = 0, spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    created = f"2026-11-23T10:00:{second:02}Z"
    metadata = {
        "name": name,
        "namespace": "a",
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "generation": 2,
        "creationTimestamp": created,
    }
    return {
        "apiVersion": VERSION,
        "kind": "TrainingRequest",
        "metadata": metadata,
        "spec": spec or {},
        "status": status,
        "whole": True,
    }


def job(name: str, owner: str) -> dict[str, Any]:
    reference = {"kind": "TrainingRequest", "name": owner, "uid": f"uid-{owner}"}
    metadata = {
        "name": name,
        "namespace": "a",
        "uid": f"job-{name}",
        "resourceVersion": "5",
        "ownerReferences": [reference],
    }
    created = {"creationTimestamp": "2026-11-23T10:09:00Z"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**metadata, **created},
        "spec": {},
        "status": {},
    }


def look(caches: Caches, item: dict[str, Any], play: Any) -> tuple[Gathered, list[str]]:
    """What is gathered about a request, and what the API server was asked for."""
    with playing(play) as server:
        api = server.api()
        sources = Sources(api, caches, SnapshotReader(api), EventReader(api), progress={})
        gathered = gather(sources, item, NOW)
        return gathered, [f"{call.method} {call.path}" for call in server.asked]


def jobs_in(gathered: Gathered) -> list[str]:
    return [job["metadata"]["name"] for job in gathered.world.jobs]


def test_a_job_that_the_status_says_runs_is_asked_for_before_it_is_taken_for_lost() -> None:
    caches = Caches()
    rows = [
        {"name": "train", "key": "k", "phase": "Running", "job": "r-train-1"},
        {"name": "merge", "key": "m", "phase": "Pending", "job": "r-m-1"},
    ]
    item = request("r", stages=rows)

    def play(asked: Asked, answer: Answer) -> None:
        if asked.path.endswith("/jobs/r-train-1"):
            answer.json(job("r-train-1", "r"))
        elif asked.path.endswith("/events"):
            event = {"metadata": {}, "reason": "FailedCreate", "message": "quota"}
            answer.json({"items": [event | {"lastTimestamp": "2026-11-23T10:09:30Z"}]})
        else:
            answer.refuse(404, "NotFound")

    gathered, asked = look(caches, item, play)
    assert jobs_in(gathered) == ["r-train-1"]
    caches.jobs.remove(gathered.world.jobs[0])  # a list that began before it was made lacks it
    assert jobs_in(look(caches, item, play)[0]) == ["r-train-1"]
    assert asked == ["GET /apis/batch/v1/namespaces/a/jobs/r-train-1", "GET /api/v1/namespaces/a/events"], (
        "a Pending one is made again"
    )
    assert gathered.world.events == {"job-r-train-1": (Event("FailedCreate", "quota"),)}
    assert gathered.again == 30


def test_nothing_is_asked_for_a_request_that_the_caches_know_all_about() -> None:
    caches = Caches()
    caches.jobs.put(
        {**job("r-train-1", "r"), "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    )
    caches.jobs.put(job("other-train-1", "other"))
    rows = [{"name": "train", "key": "k", "phase": "Running", "job": "r-train-1"}]
    gathered, asked = look(caches, request("r", stages=rows), lambda _asked, answer: answer.refuse(500, "no"))
    assert jobs_in(gathered) == ["r-train-1"]
    assert (asked, gathered.again) == ([], None)


def test_a_snapshot_of_another_owner_is_not_taken() -> None:
    def play(_asked: Asked, answer: Answer) -> None:
        owner = {"kind": "TrainingRequest", "name": "r", "uid": "somebody-else"}
        answer.json(
            {"metadata": {"name": "s", "namespace": "a", "uid": "c", "ownerReferences": [owner]}, "data": {}}
        )

    gathered, asked = look(Caches(), request("r", snapshot="s"), play)
    assert gathered.world.snapshot is None
    assert asked == ["GET /api/v1/namespaces/a/configmaps/s"]


def test_a_long_spec_is_read_when_it_is_decided_about_and_at_no_other_time() -> None:
    caches = Caches()
    long = request("r", spec={"task": "x" * 100_000, "suspend": True})
    caches.requests.put(long)
    kept = caches.requests.get(("a", "r"))
    assert kept is not None
    assert kept["spec"] == {"suspend": True}

    def play(asked: Asked, answer: Answer) -> None:
        edited = {**long["metadata"], "generation": 3, "resourceVersion": "7"}
        answer.json({**long, "metadata": edited, "spec": {"task": "edited meanwhile"}})

    gathered, asked = look(caches, dict(kept), play)
    assert asked == ["GET /apis/tunesmith.dev/v1alpha1/namespaces/a/trainingrequests/r"]
    assert gathered.world.request["spec"] == {"task": "edited meanwhile"}
    known = caches.requests.get(("a", "r"))
    assert known is not None
    assert known["metadata"]["generation"] == 3, "the watch may be behind"


def test_others_are_those_that_it_reads_from_with_what_their_present_generation_has_done() -> None:
    caches = Caches()
    done = [{"name": "generate", "phase": "Succeeded"}, {"name": "train", "phase": "Running"}]
    caches.requests.put(request("current", run="current-1", observedGeneration=2, stages=done))
    caches.requests.put(request("edited", run="edited-1", observedGeneration=1, stages=done, phase="Failed"))
    for name, other in {
        "current": Other("current-1", ("generate",)),
        "edited": Other("edited-1"),
    }.items():
        reader = request("reader", spec={"data": {"from": {"request": name}}})
        assert others(caches, reader) == {name: other}
    caches.requests.put(request("waiting", spec={"training": {"from": {"request": "edited"}}}))
    reader = request("reader", spec={"data": {"from": {"request": "waiting"}}})
    of_both = {"waiting": Other(reads=(("edited", "train"),)), "edited": Other("edited-1")}
    assert others(caches, reader) == of_both, "those that it waits for itself, as they may form a ring"
    assert others(caches, request("reader", spec={"training": {"from": {"request": "missing"}}})) == {}
    assert others(caches, request("reader", spec={"data": "nonsense"})) == {}


def test_a_run_is_taken_by_the_oldest_other_request_that_is_not_over() -> None:
    caches, shared = Caches(), {"run": "shared"}
    older, over = (
        request("older", 1, shared),
        request("over", 0, shared, phase="Succeeded", observedGeneration=2),
    )
    mine, younger = request("mine", 2, shared), request("younger", 3, shared)
    for item in (older, over, mine, younger, request("own-run", 0)):
        caches.requests.put(item)
    taken = {item["metadata"]["name"]: run_taken_by(caches, item) for item in (older, mine, younger)}
    assert taken == {"older": "", "mine": "older", "younger": "older"}


def test_a_run_is_taken_by_a_younger_request_that_is_at_work_on_it() -> None:
    caches, shared = Caches(), {"run": "shared"}
    rows = [{"name": "train", "key": "k", "phase": "Running", "job": "y-train-1"}]
    elder, younger = (
        request("elder", 1, shared, phase="Succeeded", observedGeneration=1),
        request("younger", 2, shared, stages=rows),
    )
    for item in (elder, younger):
        caches.requests.put(item)
    assert run_taken_by(caches, elder) == "younger", "it was edited when the younger one had begun"
    refused = request("younger", 2, shared, stages=rows, phase="Failed", observedGeneration=2)
    caches.requests.put({**refused, "metadata": {**refused["metadata"], "resourceVersion": "2"}})
    assert run_taken_by(caches, elder) == "younger", "an edit of it was refused, and its Job still runs"
