"""The loop: for each request that may have changed, gather what is there, decide, and act.

Workers share one queue.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from tunesmith_controller.api import ApiError, Conflict, NotFound, Unreachable
from tunesmith_controller.bugs import Bugs
from tunesmith_controller.cache import Changed, Key, key_of
from tunesmith_controller.caches import request_name
from tunesmith_controller.decide.changes import decides
from tunesmith_controller.decide.model import Config, Decision, Object, Turn, World
from tunesmith_controller.decide.objects import uid_of
from tunesmith_controller.decide.standing import Standing, standing
from tunesmith_controller.decide.unhandled import unhandled
from tunesmith_controller.executor import Executor, NotLeading
from tunesmith_controller.logs import log_keys
from tunesmith_controller.metrics import Metrics
from tunesmith_controller.queue import WorkQueue
from tunesmith_controller.threads import BUG, Lasting
from tunesmith_controller.turns import Turns
from tunesmith_controller.world import Sources, gather

log = logging.getLogger(__name__)

Reconcile = Callable[[World, datetime, Config], Decision]

# Seconds after which every request that has not ended is looked at, whatever the watches report.
RESYNC = 1800.0
RESTING_PER_SECOND = 10.0  # how many of those that have ended a new leader looks at
TICK = 10.0  # seconds between two checks of changed turns: places in the queue, shares of the teacher
PLACES_PER_SECOND = 1.0  # how fast changed places are written
BUSY = 10  # due requests beyond which places are not written: running requests come before waiting ones
# Seconds that a change of a Job or pod waits for further ones: what decides something, and the rest. A pod
# that starts and ends well has ten changes, its Job's included, and two looks are enough.
SOON, LATER = 0.1, 2.0


@dataclass(frozen=True)
class Parts:
    """What the loop works with."""

    sources: Sources
    queue: WorkQueue[Key]
    turns: Turns
    executor: Executor
    metrics: Metrics
    config: Config
    reconcile: Reconcile


class Worker(Lasting):
    """Looks at one request after another."""

    def __init__(self, loop: "Loop", number: int) -> None:
        super().__init__(f"worker-{number}", kind="worker", count=loop.count)
        self._loop = loop

    def step(self) -> None:
        """Waits for a request and looks at it."""
        self._loop.work(self)


class Ticker(Lasting):
    """Asks for looks that no watch asks for."""

    def __init__(self, loop: "Loop") -> None:
        super().__init__("ticker", count=loop.count)
        self._loop = loop
        self._due = time.monotonic() + RESYNC

    def step(self) -> None:
        """Waits for a tick; asks for places and shares that have changed, and now and then for all."""
        if self.stopped.wait(TICK):
            return
        self._loop.tick()
        if time.monotonic() > self._due:
            self._due += RESYNC
            self._loop.resync()


class Loop:
    """Workers over a queue.

    `listen` fills the queue from the caches; `start` begins the work, on the leader.
    """

    def __init__(self, parts: Parts, workers: int) -> None:
        self._parts = parts
        self._caches = parts.sources.caches
        self._count = workers
        self._bugs = Bugs()
        self.count = parts.metrics.survived
        self.threads: list[Lasting] = []
        self._stopped = threading.Event()

    def listen(self) -> None:
        """From now on, every change of a request, its Jobs or its pods asks for a look at the request.

        Standbys listen too.
        """
        self._caches.requests.changed = self._listener(self._request_changed)
        self._caches.jobs.changed = self._listener(self._child_changed)
        self._caches.pods.changed = self._listener(self._child_changed)

    def start(self) -> None:
        """Books what runs already, asks for a look at every request, and starts the workers.

        Those at work come first. Those that rest are looked at in passing, for what expires.
        """
        standings = sorted(self._caches.standings(), key=lambda one: (not one.works, one.age))
        self._parts.turns.start((one, self._caches.jobs.by("owner", one.uid)) for one in standings)
        resting = sum(one.rests for one in standings) / RESTING_PER_SECOND
        for one in standings:
            self._parts.queue.add((one.namespace, one.name), random.uniform(0, resting) if one.rests else 0.0)
        self.threads = [Worker(self, number) for number in range(self._count)]
        self.threads.append(Ticker(self))
        for thread in self.threads:
            thread.start()

    def stop(self, seconds: float) -> bool:
        """Waits for the looks that have begun; returns whether all ended in time."""
        self._stopped.set()
        for thread in self.threads:
            thread.stopped.set()
        self._parts.queue.close()
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            if thread.ident:  # `start` may not have started all of them
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self.threads)

    def look(self, key: Key) -> float | None:
        """One look at a request: gather, decide, act.

        Returns the seconds after which it is to be looked at again.
        """
        parts = self._parts
        request = self._caches.requests.get(key)
        if request is None:
            return None
        if wait := parts.executor.rivals.wait(request):
            return wait
        now = parts.sources.api.now()
        before = standing(request)
        if bug := self._bugs.given_up(request):
            parts.executor.carry_out(request, Decision(unhandled(request, bug, now)))
            self._tell_others(before, self._caches.standing(key))
            return None
        refusal = parts.executor.refusals.message(uid_of(request))
        gathered = gather(parts.sources, request, now, failed_to_create=refusal)
        request = gathered.world.request

        def think(turn: Turn) -> Decision:
            return parts.reconcile(replace(gathered.world, turn=turn), now, parts.config)

        try:
            decision, came = parts.turns.decide(request, think)
            self._add(came)
            again = parts.executor.carry_out(request, decision)
            self._add(parts.turns.settle(request, decision))
        finally:
            after = self._caches.standing(key)
            if after is None or after.uid != before.uid:
                self._forget(before.uid)  # it went meanwhile, and nobody else would give its place back
        parts.metrics.decided(request, decision)
        self._tell_others(before, after)
        self._bugs.clear(before.uid)
        waits = [gathered.again, again]
        # A queued request is looked at when its turn comes: thousands that are looked at each half minute
        # would keep the others from running.
        if not decision.status.queue_place:
            waits.append(decision.requeue_after)
        return min((seconds for seconds in waits if seconds is not None), default=None)

    def work(self, worker: Lasting) -> None:
        """Waits for a request and looks at it; ends the worker once the queue is closed."""
        parts = self._parts
        worker.rest()
        key = parts.queue.get()
        if key is None:
            worker.stopped.set()
            return
        worker.beat()
        begun = time.monotonic()
        result, again = "error", None
        try:
            result, again = self._try(key)
            parts.metrics.reconcile.labels(result).inc()
            parts.metrics.reconcile_seconds.observe(time.monotonic() - begun)
        finally:
            parts.queue.done(key, failed=result not in ("ok", "gone"))
        if again is not None:
            parts.queue.add(key, again)

    def _try(self, key: Key) -> tuple[str, float | None]:
        extra = {"namespace": key[0], "request": key[1]}
        try:
            return "ok", self.look(key)
        except Conflict as error:  # normal: it was edited meanwhile, and the watch reports the new version
            log.debug("looked at an old version: %s", error, extra=extra)
            return "conflict", None
        except NotFound as error:
            log.info("gone meanwhile: %s", error, extra=extra)
            return "gone", None
        except NotLeading:
            return "not_leading", None
        except Unreachable as error:
            log.info("the API server does not answer: %s", error, extra=extra)
            return "unreachable", None
        except ApiError as error:
            log.warning("the API server refused: %s", error, extra=extra)
            return "refused", None
        except Exception as error:
            bug, then = self._noted(key, error)
            text = "%s, with the id %s. The request is %s"
            log.exception(text, BUG, bug, then, extra=extra)
            return "error", None

    def _noted(self, key: Key, error: Exception) -> tuple[str, str]:
        """Notes an exception that nobody expected, and gives the request up when it comes again and again.

        Returns the id of the bug, and what becomes of the request.
        """
        request = self._caches.requests.get(key)
        if request is None:
            return "-", "gone"
        before = self._bugs.given_up(request)
        bug = self._bugs.add(request, error)
        given_up = self._bugs.given_up(request)
        if given_up and not before:
            self._parts.metrics.internal_errors.inc()
            self._add(self._parts.turns.forget(uid_of(request)))
        return given_up or bug, "given up until it is edited" if given_up else "tried again"

    def tick(self) -> None:
        """Asks for looks at requests whose place in the queue, or share of the teacher, has changed."""
        places = int(TICK * PLACES_PER_SECOND)  # all that fit until the next tick
        moved = self._parts.turns.moved(places) if self._parts.queue.depth() <= BUSY else []
        self._add(self._parts.turns.reshared())
        for number, key in enumerate(moved):
            self._parts.queue.add(key, number / PLACES_PER_SECOND)

    def resync(self) -> None:
        """Asks for a look at every request that has not ended, spread over time.

        Those that have ended are left out: thousands of them would each cost a read.
        """
        for one in self._caches.standings():
            if not one.rests:
                self._parts.queue.add((one.namespace, one.name), random.uniform(0, RESYNC / 2))

    def _listener(self, changed: Changed) -> Changed:
        """`changed`, without its exceptions: the cache has the object all the same, and the others wait."""

        def told(before: Object | None, after: Object | None) -> None:
            try:
                changed(before, after)
            except Exception:
                name = key_of(after or before or {})
                log.exception("%s. A change of %s is not told", BUG, name)
                self.count("listener")

        return told

    def _request_changed(self, before: Object | None, after: Object | None) -> None:
        queue = self._parts.queue
        if after is not None:
            queue.add(key_of(after))
        elif before is not None:
            log.info("deleted", extra=log_keys(before))
            queue.forget(key_of(before))
            self._parts.sources.snapshots.forget(uid_of(before))
            self._forget(uid_of(before))
        self._tell_others(
            standing(before) if before is not None else None, standing(after) if after is not None else None
        )

    def _forget(self, uid: str) -> None:
        self._bugs.clear(uid)
        self._parts.executor.refusals.clear(uid)
        self._parts.executor.rivals.forget(uid)
        self._add(self._parts.turns.forget(uid))

    def _add(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._parts.queue.add(key)

    def _child_changed(self, before: Object | None, after: Object | None) -> None:
        item = after or before
        assert item is not None
        key = (key_of(item)[0], request_name(item))
        # A request that is not known yet is added when it comes; the children of one that is gone go with it.
        if key in self._caches.requests:
            self._parts.queue.add(key, SOON if decides(before, after) else LATER)

    def _tell_others(self, before: Standing | None, after: Standing | None) -> None:
        """Asks for a look at the requests for which a change of this one is news.

        Those that read from it, if what they read has changed; and the next one on its run, if this one may
        have made way. Of hundreds that share a run, one is told, not all.
        """
        present = after or before
        if present is None:
            return
        if before is None or after is None or before.other != after.other:
            readers = self._caches.readers(present.namespace, present.name)
            self._add((one.namespace, one.name) for one in readers if one.uid != present.uid)
        if before is None or (after is not None and not _makes_way(before, after)):
            return
        on_run = self._caches.on_run(present.namespace, present.run)
        waiting = [one for one in on_run if not one.ended and one.uid != present.uid]
        if waiting:
            first = min(waiting, key=lambda one: (not one.works, one.age))
            self._add([(first.namespace, first.name)])


def _makes_way(before: Standing, after: Standing) -> bool:
    """Whether a request may have made way for others on its run."""
    return (before.works and not after.works) or (after.ended and not before.ended)
