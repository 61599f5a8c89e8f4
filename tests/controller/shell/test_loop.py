"""One look at a request, with a real decision and an API server that is played."""

import functools
import json
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from controller.shell.played_server import Answer, Asked, Play, PlayedServer, playing, until
from requests_for_tests import document
from small_cluster import config, profile

from tunesmith import children, wire
from tunesmith.events import Progress
from tunesmith.profile import Limits
from tunesmith.wire import API_VERSION
from tunesmith_controller import bugs, threads
from tunesmith_controller.api import Api
from tunesmith_controller.cache import Key
from tunesmith_controller.caches import Caches
from tunesmith_controller.decide.reconcile import reconcile
from tunesmith_controller.decide.standing import standing
from tunesmith_controller.event_reader import EventReader
from tunesmith_controller.event_writer import EventWriter
from tunesmith_controller.executor import Executor
from tunesmith_controller.loop import Loop, Parts
from tunesmith_controller.metrics import Metrics
from tunesmith_controller.options import parse_options
from tunesmith_controller.progress import FIRST, ProgressReader
from tunesmith_controller.queue import WorkQueue
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.turns import Turns
from tunesmith_controller.world import Sources

LIMITS = Limits(requests=1)
NOW = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def request(name: str) -> dict[str, Any]:
    item: dict[str, Any] = document({}, name=name, namespace="a")
    item["apiVersion"] = API_VERSION
    item["metadata"] |= {"uid": f"uid-{name}", "generation": 1, "resourceVersion": "1"}
    item["metadata"]["creationTimestamp"] = NOW
    return item


class Server:
    """Takes every write; counts versions."""

    def __init__(self, caches: Caches) -> None:
        self.caches, self.writes = caches, list[Asked]()
        self._version, self._lock = 1000, threading.Lock()

    def play(self, asked: Asked, answer: Answer) -> None:
        if asked.path.endswith("/log"):
            return answer.text(
                Progress(stage="generate", done=len(self.writes), total=10_000, unit="rows").line()
            )
        if asked.method == "GET":
            return answer.refuse(404, "NotFound")
        with self._lock:
            self._version += 1
            version = str(self._version)
            self.writes.append(asked)
        name = asked.body["metadata"]["name"]
        known = self.caches.requests.get(("a", name)) if asked.method == "PATCH" else None
        base: Mapping[str, Any] = known or {}
        metadata = {
            "uid": f"uid-of-{name}",
            "creationTimestamp": NOW,
            **base.get("metadata", {}),
            **asked.body["metadata"],
            "resourceVersion": version,
        }
        return answer.json({**base, **asked.body, "metadata": metadata})


@contextmanager
def shell(limits: Limits = LIMITS, rate: float = 25.0) -> Iterator[SimpleNamespace]:
    """A loop, its parts and the server that it writes to.

    `rate`: of the reader of progress, which is not started.
    """
    caches = Caches()
    server = Server(caches)
    play: Play = server.play
    with playing(play) as played:
        yield _parts(caches, server, played, limits, rate)


def _parts(
    caches: Caches, server: Server, played: PlayedServer, limits: Limits, rate: float
) -> SimpleNamespace:
    api: Api = played.api()
    queue: WorkQueue[Key] = WorkQueue()
    snapshots = SnapshotReader(api)
    reader = ProgressReader(api, caches.pods, queue.add, rate=rate)
    parts = Parts(
        sources=Sources(api, caches, snapshots, EventReader(api), reader.known),
        queue=queue,
        turns=Turns({"default": limits}),
        executor=Executor(api, caches, snapshots, EventWriter(api, "test", rate=50.0), lambda: True),
        metrics=Metrics(),
        config=config(default=profile(limits=limits)),
        reconcile=reconcile,
    )
    loop = Loop(parts, workers=8)
    loop.listen()
    return SimpleNamespace(
        loop=loop,
        metrics=parts.metrics,
        played=played,
        caches=caches,
        queue=queue,
        server=server,
        turns=parts.turns,
        reader=reader,
        snapshots=snapshots,
    )


def test_what_is_kept_of_a_request_goes_with_it() -> None:
    with shell(Limits()) as parts:
        parts.caches.requests.put(request("a-0"))
        parts.loop.look(("a", "a-0"))
        item = parts.caches.requests.get(("a", "a-0"))
        assert parts.snapshots.of(item) is not None
        parts.caches.requests.remove(item)
        assert parts.snapshots.of(item) is None, "it is asked for, and the API server has none"


def test_a_request_that_goes_while_it_is_looked_at_leaves_its_place_to_the_next() -> None:
    with shell() as parts:
        for name in ("first", "second"):
            parts.caches.requests.put(request(name))
        parts.loop.look(("a", "first"))
        parts.loop.look(("a", "second"))
        assert parts.caches.requests.get(("a", "second"))["status"]["queuePlace"] == 1

        first = parts.caches.requests.get(("a", "first"))
        decide = parts.turns.decide

        def gone_just_then(*arguments: Any) -> Any:
            parts.caches.requests.remove(first)
            return decide(*arguments)

        parts.turns.decide = gone_just_then
        parts.loop.look(("a", "first"))
        parts.turns.decide = decide
        parts.loop.look(("a", "second"))
        assert parts.caches.requests.get(("a", "second"))["status"]["phase"] == "Pending", "its Job is made"


def test_a_worker_survives_whatever_comes_and_gives_the_request_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PAUSE", 0.01)
    with shell() as parts:
        for name in ("first", "second"):
            parts.caches.requests.put(request(name))

        def fails(*_: Any) -> Any:
            raise OverflowError("timestamp too large to convert to C _PyTime_t")

        monkeypatch.setattr(parts.loop, "look", fails)
        monkeypatch.setattr(parts.metrics.reconcile, "labels", fails)  # and so does what counts it
        parts.loop.start()
        survived = functools.partial(
            parts.metrics.registry.get_sample_value, "tunesmith_thread_errors_total", {"thread": "worker"}
        )
        until(lambda: survived() >= 6)
        assert [wrong for thread in parts.loop.threads for wrong in thread.wrong()] == []
        assert all(thread.is_alive() for thread in parts.loop.threads)
        monkeypatch.undo()

        def phases() -> set[str]:
            return {item.get("status", {}).get("phase") for item in parts.caches.requests.all()}

        until(lambda: phases() == {"Pending", "Queued"})
        assert parts.loop.stop(10)


def test_a_change_that_cannot_be_told_costs_the_cache_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with shell() as parts:

        def fails(*_: Any) -> None:
            raise KeyError("uid")

        monkeypatch.setattr(parts.queue, "add", fails)
        parts.caches.requests.put(request("first"))
        assert parts.caches.requests.get(("a", "first")) is not None
        told = parts.metrics.registry.get_sample_value
        assert told("tunesmith_thread_errors_total", {"thread": "listener"}) == 1


def test_a_request_that_cannot_be_booked_keeps_no_replica_from_leading() -> None:
    with shell() as parts:
        bad = {"spec": {"containers": "text"}, "status": {}}
        parts.turns.start([(standing(request("bad")), [bad]), (standing(request("good")), [])])
        parts.caches.requests.put(request("good"))
        parts.loop.look(("a", "good"))
        assert parts.caches.requests.get(("a", "good"))["status"]["phase"] == "Pending", "its Job is made"


def test_a_status_that_cannot_be_written_for_a_bug_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bugs, "LEAST", 0.0)
    with shell() as parts:
        parts.caches.requests.put(request("first"))

        def fails(*_: Any) -> Any:
            raise ZeroDivisionError

        parts.turns.decide = fails
        play, refused = parts.server.play, list[Asked]()

        def busy(asked: Asked, answer: Answer) -> None:
            if asked.method == "PATCH" and len(refused) < 2:
                refused.append(asked)
                answer.refuse(500, "InternalError")
            else:
                play(asked, answer)

        parts.played.play = busy
        parts.loop.start()

        def status() -> dict[str, Any]:
            written: dict[str, Any] = parts.caches.requests.get(("a", "first")).get("status", {})
            return written if written.get("phase") == "Failed" else {}

        assert until(status, 20)["reason"] == "InternalError"
        assert len(refused) == 2
        told = parts.metrics.registry.get_sample_value
        assert told("tunesmith_internal_errors_total") == 1
        assert parts.loop.stop(10)


def test_what_has_ended_is_not_looked_at_again_and_again() -> None:
    with shell() as parts:
        for name, status in (
            ("works", {"phase": "Running", "observedGeneration": 1}),
            ("done", {"phase": "Succeeded", "observedGeneration": 1}),
            ("edited", {"phase": "Succeeded", "observedGeneration": 0}),
            ("new", {}),
        ):
            parts.caches.requests.put_answer(request(name) | {"status": status})
        assert parts.queue.idle(1000), "an answer asks for no look"
        parts.loop.resync()
        asked = parts.queue.schedule.due
        assert {name for _, name in asked} == {"works", "edited", "new"}


def asked_for(parts: SimpleNamespace) -> set[str]:
    """Names of the requests that wait for a look; they wait no longer."""
    names = {name for _, name in parts.queue.schedule.due}
    while not parts.queue.idle():
        parts.queue.done(parts.queue.get())
    return names


def changed(parts: SimpleNamespace, name: str, **status: Any) -> dict[str, Any]:
    """The request with another status, of a newer version, as the watch brings it."""
    known = parts.caches.requests.get(("a", name))
    version = str(int(known["metadata"]["resourceVersion"]) + 1000)
    metadata = {**known["metadata"], "resourceVersion": version}
    return {**known, "metadata": metadata, "status": {**known["status"], **status}}


def test_of_many_that_share_a_run_one_is_told_when_it_is_free() -> None:
    with shell(Limits()) as parts:
        for number in range(30):
            item = request(f"r{number:02}")
            item["spec"]["run"] = "shared"
            item["metadata"]["creationTimestamp"] = f"2026-11-23T10:00:{number:02}Z"
            parts.caches.requests.put(item)
        for number in range(30):
            parts.loop.look(("a", f"r{number:02}"))
        asked_for(parts)
        assert parts.caches.requests.get(("a", "r29"))["status"]["reason"] == "RunTaken"
        parts.caches.requests.put(changed(parts, "r00", progress=50))
        assert asked_for(parts) == {"r00"}, "the run is not free"
        parts.caches.requests.put(changed(parts, "r00", phase="Succeeded", stages=[]))
        assert asked_for(parts) == {"r00", "r01"}
        parts.caches.requests.remove(parts.caches.requests.get(("a", "r01")))
        assert asked_for(parts) == {"r02"}


def test_those_that_read_from_a_request_are_told_what_they_read_and_nothing_else() -> None:
    with shell(Limits()) as parts:
        parts.caches.requests.put(request("first"))
        for number in range(5):
            item = request(f"reader-{number}")
            item["spec"]["data"] = {"from": {"request": "first"}}
            parts.caches.requests.put(item)
        readers = {f"reader-{number}" for number in range(5)}
        parts.loop.look(("a", "first"))
        assert asked_for(parts) >= readers, "it has a run now"
        parts.caches.requests.put(changed(parts, "first", progress=50, message="5 of 10 rows"))
        assert asked_for(parts) == {"first"}
        done = [{"name": "generate", "key": "k", "phase": "Succeeded"}]
        parts.caches.requests.put(changed(parts, "first", stages=done))
        assert asked_for(parts) == {"first", *readers}


def running_pod(job: Mapping[str, Any]) -> dict[str, Any]:
    """A pod of a Job, whose container runs."""
    name = job["metadata"]["name"]
    owner = {"kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
    metadata = {
        "name": f"{name}-x",
        "namespace": "a",
        "uid": f"pod-of-{name}",
        "resourceVersion": "1",
        "creationTimestamp": NOW,
    }
    container = {"name": "stage", "state": {"running": {"startedAt": NOW}}}
    return {
        "metadata": metadata | {"labels": job["metadata"]["labels"], "ownerReferences": [owner]},
        "spec": {"nodeName": "n", "containers": []},
        "status": {"phase": "Running", "containerStatuses": [container]},
    }


def renamed(item: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The same object of another request."""
    other: dict[str, Any] = json.loads(json.dumps(item).replace("zebra-0", f"zebra-{number}"))
    return other


def test_progress_of_a_thousand_running_requests_costs_at_most_fifty_writes_a_second() -> None:
    count, seconds, rate = 1000, 6.0, parse_options([]).qps / 4
    with shell(Limits(), rate) as parts:
        parts.caches.requests.put(request("zebra-0"))
        parts.loop.look(("a", "zebra-0"))
        parts.caches.pods.put(running_pod(parts.caches.jobs.all()[0]))
        parts.loop.look(("a", "zebra-0"))
        snapshot = next(asked.body for asked in parts.server.writes if asked.path.endswith("/configmaps"))
        # As alike as two of them can be; a look at each would take half a minute.
        for number in range(1, count):
            again = functools.partial(renamed, number=number)
            parts.caches.jobs.put(again(parts.caches.jobs.all()[0]))
            parts.caches.pods.put(again(parts.caches.pods.all()[0]))
            item = again(parts.caches.requests.get(("a", "zebra-0")))
            config_map = again(snapshot)
            name = f"zebra-{number}"
            content = config_map["data"][wire.SNAPSHOT_FILE] + config_map["data"][wire.FROZEN_FILE]
            config_map["metadata"]["name"] = children.snapshot_name(name, f"uid-{name}", content)
            item["status"]["snapshot"] = config_map["metadata"]["name"]
            assert parts.snapshots.remember(item, config_map)
            parts.caches.requests.put(item)
        phases = Counter(item["status"]["phase"] for item in parts.caches.requests.all())
        assert phases == {"Running": count}
        while not parts.queue.idle():
            parts.queue.done(parts.queue.get())
        before = len(parts.server.writes)

        parts.loop.start()
        parts.reader.start()
        time.sleep(FIRST[0] + seconds)
        parts.reader.stop()
        assert parts.loop.stop(10)
        at = [asked.at for asked in parts.server.writes[before:]]
        progressed = [
            item
            for item in parts.caches.requests.all()
            if item["status"].get("progress") or "rows" in item["status"]["message"]
        ]
    busiest = max(bisect_left(at, start + 2) - place for place, start in enumerate(at))
    assert busiest <= 2 * 50, (
        "writes in two seconds: in one, a machine that stood still for a moment does two seconds' work"
    )
    assert len(at) <= seconds * rate * 1.2, "on the whole it is half of that"
    assert len(progressed) > seconds * rate / 2, "it is told all the same"
