"""The loop: a request that may have changed is gathered, decided about and acted on. Workers take requests from one queue."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tunesmith.events import Progress
from tunesmith_controller.api import Api, ApiError, Conflict, NotFound, Unreachable
from tunesmith_controller.cache import Key, key_of
from tunesmith_controller.decide.model import Config, Decision, Object, World
from tunesmith_controller.event_reader import EventReader
from tunesmith_controller.executor import Executor, NotLeading, said_of
from tunesmith_controller.metrics import Metrics
from tunesmith_controller.queue import WorkQueue
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.trim import request_name, run_of
from tunesmith_controller.turns import Turns, ended
from tunesmith_controller.world import Caches, gather

log = logging.getLogger(__name__)

Reconcile = Callable[[World, datetime, Config], Decision]

RESYNC = 600.0  # seconds after which every request that has not ended is looked at, whatever the watches said
TICK = 10.0  # seconds between two looks at what turns have changed to: places in the queue, shares of the teacher
PLACES_PER_SECOND = 1.0  # how fast places are written again
BUSY = 10  # requests that are due, beyond which places have to wait: who works comes before who waits
TOGETHER = 0.3  # seconds that a change of a Job or pod waits for the next ones: a pod that starts has three at once, one look is enough
HUNG = 300.0  # seconds that one look may take before the worker counts as dead; each call ends after far less


@dataclass(frozen=True)
class Parts:
    """What the loop works with."""

    api: Api
    caches: Caches
    queue: WorkQueue[Key]
    snapshots: SnapshotReader
    troubles: EventReader
    turns: Turns
    executor: Executor
    metrics: Metrics
    progress: Mapping[str, Progress]
    config: Config
    reconcile: Reconcile


class Loop:
    """Workers over a queue. `listen` fills the queue from the caches; `start` begins the work, on the leader."""

    def __init__(self, parts: Parts, workers: int) -> None:
        self._parts, self._count = parts, workers
        self._workers: list[threading.Thread] = []
        self._busy: dict[str, float] = {}  # worker -> since when it has had a key in hand
        self._stopped = threading.Event()

    def listen(self) -> None:
        """Every change of a request, its Jobs or its pods asks for a look at the request. Standbys listen too."""
        caches = self._parts.caches
        caches.requests.changed = self._request_changed
        caches.jobs.changed = caches.pods.changed = self._child_changed

    def start(self) -> None:
        """Books what is at work, asks for a look at every request, and starts the workers."""
        parts = self._parts
        requests = parts.caches.requests.all()
        parts.turns.start((request, parts.caches.jobs_of(request)) for request in requests)
        for request in sorted(
            requests, key=lambda request: str(request["metadata"].get("creationTimestamp"))
        ):
            parts.queue.add(key_of(request))
        self._workers = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(self._count)
        ]
        self._workers.append(threading.Thread(target=self._tick, name="ticker", daemon=True))
        for worker in self._workers:
            worker.start()

    def stop(self, seconds: float) -> bool:
        """Lets every look that is under way end; returns whether all did in time."""
        self._stopped.set()
        self._parts.queue.close()
        deadline = time.monotonic() + seconds
        for worker in [worker for worker in self._workers if worker.ident]:  # those that `start` has come to
            worker.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in self._workers)

    def wrong(self) -> list[str]:
        """Workers that are dead or hang, for the liveness probe."""
        if self._stopped.is_set():
            return []
        now = time.monotonic()
        dead = [f"{worker.name} has ended" for worker in self._workers if not worker.is_alive()]
        return dead + [
            f"{name} hangs for {now - since:.0f} s"
            for name, since in list(self._busy.items())
            if now - since > HUNG
        ]

    def look(self, key: Key) -> float | None:
        """One look at a request: gather, decide, act. Returns the seconds after which it is to be looked at again."""
        parts = self._parts
        request = parts.caches.requests.get(key)
        if request is None:
            return None
        uid, now = request["metadata"]["uid"], datetime.now(UTC)
        gathered = gather(
            parts.api,
            parts.caches,
            parts.snapshots,
            parts.troubles,
            request,
            now,
            progress=parts.progress,
            failed_to_create=parts.executor.refusals.message(uid),
        )
        try:
            decision, came = parts.turns.decide(
                request, lambda turn: parts.reconcile(replace(gathered.world, turn=turn), now, parts.config)
            )
            self._call(came)
            again = parts.executor.carry_out(request, decision)
            self._call(parts.turns.settle(request, decision))
        finally:
            present = parts.caches.requests.get(key)
            if (
                present is None or present["metadata"]["uid"] != uid
            ):  # it went meanwhile: nobody else would give its place back
                self._forget(uid)
        parts.metrics.decided(request, decision)
        written = parts.caches.requests.get(key)
        if written is not None and written is not request:
            self._tell_neighbours(written)
        # who waits in line is called when its turn comes; thousands that look each half minute would keep the others from working
        after = None if decision.status.queue_place else decision.requeue_after
        return min(
            (seconds for seconds in (after, gathered.again, again) if seconds is not None), default=None
        )

    def _work(self) -> None:
        parts, name = self._parts, threading.current_thread().name
        while (key := parts.queue.get()) is not None:
            self._busy[name] = begun = time.monotonic()
            result, again = self._try(key)
            parts.metrics.reconcile.labels(result).inc()
            parts.metrics.reconcile_seconds.observe(time.monotonic() - begun)
            self._busy.pop(name, None)
            parts.queue.done(key, failed=result not in ("ok", "gone"))
            if again is not None:
                parts.queue.add(key, again)

    def _try(self, key: Key) -> tuple[str, float | None]:
        extra = {"namespace": key[0], "request": key[1]}
        try:
            return "ok", self.look(key)
        except Conflict as error:  # normal: somebody edited it meanwhile; the watch brings the new one
            log.debug("looked at an old version: %s", error, extra=extra)
            return "conflict", None
        except NotFound as error:
            log.info("gone meanwhile: %s", error, extra=extra)
            return "gone", None
        except NotLeading:
            return "not_leading", None
        except Unreachable as error:
            log.info("the API server is away: %s", error, extra=extra)
            return "unreachable", None
        except ApiError as error:
            log.warning("the API server refused: %s", error, extra=extra)
            return "refused", None
        except Exception:
            log.exception(
                "a bug in the controller; please report it. The request is tried again", extra=extra
            )
            return "error", None

    def _tick(self) -> None:
        due = time.monotonic() + RESYNC
        while not self._stopped.wait(TICK):
            places = int(TICK * PLACES_PER_SECOND)  # all that fit until the next tick
            moved = self._parts.turns.moved(places) if self._parts.queue.depth() <= BUSY else []
            self._call(self._parts.turns.reshared())
            for number, key in enumerate(moved):
                self._parts.queue.add(key, number / PLACES_PER_SECOND)
            if time.monotonic() > due:
                due += RESYNC
                self.resync()

    def resync(self) -> None:
        """Asks for a look at every request that has not ended, spread over time. Thousands of old ones would each cost a read."""
        for request in self._parts.caches.requests.all():
            if not ended(request):
                self._parts.queue.add(key_of(request), random.uniform(0, RESYNC / 2))

    def _request_changed(self, before: Object | None, after: Object | None) -> None:
        queue = self._parts.queue
        if after is not None:
            queue.add(key_of(after))
            self._tell_neighbours(after)
        elif before is not None:
            uid = before["metadata"]["uid"]
            log.info("deleted", extra=said_of(before))
            queue.forget(key_of(before))
            self._forget(uid)
            self._tell_neighbours(before)

    def _forget(self, uid: str) -> None:
        self._parts.executor.refusals.clear(uid)
        self._call(self._parts.turns.forget(uid))

    def _call(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._parts.queue.add(key)

    def _child_changed(self, before: Object | None, after: Object | None) -> None:
        item = after or before
        assert item is not None
        key = (key_of(item)[0], request_name(item))
        if (
            self._parts.caches.requests.get(key) is not None
        ):  # else it comes by itself, or its children go with it
            self._parts.queue.add(key, TOGETHER)

    def _tell_neighbours(self, request: Object) -> None:
        """Those that read from this request, and those that wait for its run."""
        requests, metadata = self._parts.caches.requests, request["metadata"]
        near = requests.by("references", f"{metadata['namespace']}/{metadata['name']}")
        near += requests.by("run", f"{metadata['namespace']}/{run_of(request)}")
        for other in near:
            if other["metadata"]["uid"] != metadata["uid"]:
                self._parts.queue.add(key_of(other))
