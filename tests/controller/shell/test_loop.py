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

from controller.shell.played_server import Answer, Asked, Play, PlayedServer, playing
from requests_for_tests import document
from small_cluster import config, profile

from tunesmith import children, wire
from tunesmith.events import Progress
from tunesmith.profile import Limits
from tunesmith.wire import API_VERSION
from tunesmith_controller.api import Api
from tunesmith_controller.cache import Key
from tunesmith_controller.decide.reconcile import reconcile
from tunesmith_controller.event_reader import EventReader
from tunesmith_controller.event_writer import EventWriter
from tunesmith_controller.executor import Executor
from tunesmith_controller.loop import Loop, Parts
from tunesmith_controller.main import parse_options
from tunesmith_controller.metrics import Metrics
from tunesmith_controller.progress import ProgressReader
from tunesmith_controller.queue import WorkQueue
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.turns import Turns
from tunesmith_controller.world import Caches

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
def shell(
    progress: Mapping[str, Progress] | None = None, limits: Limits = LIMITS
) -> Iterator[SimpleNamespace]:
    """A loop, its parts and the server that it writes to."""
    caches = Caches()
    server = Server(caches)
    play: Play = server.play
    with playing(play) as played:
        yield _parts(caches, server, played, {} if progress is None else progress, limits)


def _parts(
    caches: Caches, server: Server, played: PlayedServer, progress: Mapping[str, Progress], limits: Limits
) -> SimpleNamespace:
    api: Api = played.api()
    queue: WorkQueue[Key] = WorkQueue()
    snapshots, turns = SnapshotReader(api), Turns({"default": limits})
    executor = Executor(api, caches, snapshots, EventWriter(api, "test", rate=50.0), lambda: True)
    settings = config(default=profile(limits=limits))
    parts = Parts(
        api,
        caches,
        queue,
        snapshots,
        EventReader(api),
        turns,
        executor,
        Metrics(),
        progress,
        settings,
        reconcile,
    )
    loop = Loop(parts, workers=8)
    loop.listen()
    return SimpleNamespace(
        loop=loop, caches=caches, queue=queue, server=server, turns=turns, api=api, snapshots=snapshots
    )


def test_a_request_that_goes_while_it_is_looked_at_leaves_its_place_to_the_next() -> None:
    with shell() as one:
        for name in ("first", "second"):
            one.caches.requests.put(request(name))
        one.loop.look(("a", "first"))
        one.loop.look(("a", "second"))
        assert one.caches.requests.get(("a", "second"))["status"]["queuePlace"] == 1

        first = one.caches.requests.get(("a", "first"))
        decide = one.turns.decide

        def gone_just_then(*arguments: Any) -> Any:
            one.caches.requests.remove(first)
            return decide(*arguments)

        one.turns.decide = gone_just_then
        one.loop.look(("a", "first"))
        one.turns.decide = decide
        one.loop.look(("a", "second"))
        assert one.caches.requests.get(("a", "second"))["status"]["phase"] == "Pending", "its Job is made"


def test_what_has_ended_is_not_looked_at_again_and_again() -> None:
    with shell() as one:
        for name, status in (
            ("works", {"phase": "Running", "observedGeneration": 1}),
            ("done", {"phase": "Succeeded", "observedGeneration": 1}),
            ("edited", {"phase": "Succeeded", "observedGeneration": 0}),
            ("new", {}),
        ):
            one.caches.requests.put_answer(request(name) | {"status": status})
        assert one.queue.idle(1000), "an answer asks for no look"
        one.loop.resync()
        asked = one.queue._schedule.due
        assert {name for _, name in asked} == {"works", "edited", "new"}


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
    known: dict[str, Progress] = {}
    with shell(known, Limits()) as one:
        one.caches.requests.put(request("zebra-0"))
        one.loop.look(("a", "zebra-0"))
        one.caches.pods.put(running_pod(one.caches.jobs.all()[0]))
        one.loop.look(("a", "zebra-0"))
        snapshot = next(asked.body for asked in one.server.writes if asked.path.endswith("/configmaps"))
        for number in range(
            1, count
        ):  # as alike as two of them can be; a look at each would take half a minute
            again = functools.partial(renamed, number=number)
            one.caches.jobs.put(again(one.caches.jobs.all()[0]))
            one.caches.pods.put(again(one.caches.pods.all()[0]))
            item, held = again(one.caches.requests.get(("a", "zebra-0"))), again(snapshot)
            name, content = (
                f"zebra-{number}",
                held["data"][wire.SNAPSHOT_FILE] + held["data"][wire.FROZEN_FILE],
            )
            held["metadata"]["name"] = item["status"]["snapshot"] = children.snapshot_name(
                name, f"uid-{name}", content
            )
            assert one.snapshots.remember(item, held)
            one.caches.requests.put(item)
        phases = Counter(item["status"]["phase"] for item in one.caches.requests.all())
        assert phases == {"Running": count}
        while not one.queue.idle():
            one.queue.done(one.queue.get())
        before = len(one.server.writes)

        reader = ProgressReader(one.api, one.caches.pods, one.queue.add, rate=rate)
        reader._known = known  # the loop was made before it
        one.loop.start()
        reader.start()
        time.sleep(seconds)
        reader.stop()
        assert one.loop.stop(10)
        at = [asked.at for asked in one.server.writes[before:]]
        told = [
            item
            for item in one.caches.requests.all()
            if item["status"].get("progress") or "rows" in item["status"]["message"]
        ]
    busiest = max(bisect_left(at, start + 2) - place for place, start in enumerate(at))
    assert busiest <= 2 * 50, (
        "writes in two seconds: in one, a machine that stood still for a moment does two seconds' work"
    )
    assert len(at) <= seconds * rate * 1.2, "on the whole it is half of that"
    assert len(told) > seconds * rate / 2, "it is told all the same"
