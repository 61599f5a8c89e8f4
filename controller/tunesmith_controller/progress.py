"""Reads the progress of running stages from the tails of their pods' logs. Only the leader does.

Each running pod is read every `interval(n, rate) = max(10 s, n / rate)`, where n is the number of running
pods; every 5 s, where n allows that, until it has made progress. With the built-in 25 reads a second, 250
pods are read every 10 s and 1,000 every 40 s. A read that shows something new leads to at most one write of
a status, so progress never costs more than `rate` API writes a second. While reads take long, no further
ones are queued.
"""

import heapq
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tunesmith.events import Progress, parse
from tunesmith.wire import CONTAINER
from tunesmith_controller.api import Api, ApiError, Call, Timeout, Unreachable
from tunesmith_controller.cache import Cache, Key, key_of
from tunesmith_controller.caches import request_name
from tunesmith_controller.decide.objects import running, terminating, uid_of
from tunesmith_controller.rate import TokenBucket
from tunesmith_controller.rights import POD_LOGS
from tunesmith_controller.threads import BUG, Count, Lasting

log = logging.getLogger(__name__)

FIRST = (3.0, 6.0)  # seconds after its start, when a stage has loaded its libraries
UNTIL_FIRST = 5.0  # seconds between two reads of one pod until it has made progress
LEAST_INTERVAL = 10.0  # seconds between two reads of one pod
TAIL_LINES, LIMIT_BYTES = 20, 65_536  # of one read
READERS = 4  # reads at once: a kubelet that hangs must not hold up the others
RARER = 5  # after each failed read, a pod is read half as often, down to every 32nd time
READ = Timeout(2.0, 5.0)


def interval(pods: int, rate: float, least: float = LEAST_INTERVAL) -> float:
    """Seconds between two reads of one pod, when so many run."""
    return max(least, pods / rate)


def last_progress(tail: str) -> Progress | None:
    """The last progress line in a log's tail."""
    for line in reversed(tail.split("\n")):  # no other line break: see tunesmith/events.py
        event = parse(line)
        if isinstance(event, Progress):
            return event
    return None


class ProgressReader(Lasting):
    """Reads running pods in turn. `changed` is called with the request of a pod that has made progress."""

    def __init__(
        self,
        api: Api,
        pods: Cache,
        changed: Callable[[Key], None],
        *,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        count: Count = lambda _kind: None,
    ) -> None:
        super().__init__("progress", count=count)
        self._api = api
        self._pods = pods
        self._changed = changed
        self._rate = rate
        self._clock = clock
        self._bucket = TokenBucket(rate, max(1.0, rate), clock)
        self._due: list[tuple[float, str, Key]] = []
        self._scheduled: set[str] = set()  # uids in `_due` or being read
        self._known: dict[str, Progress] = {}
        self._failed: dict[str, int] = {}  # reads in a row that failed, by uid
        self._free = threading.Semaphore(READERS)
        self._reading: dict[Key, float] = {}  # since when
        self._readers: ThreadPoolExecutor

    @property
    def known(self) -> Mapping[str, Progress]:
        """The last progress by pod's uid."""
        return self._known

    def stop(self) -> None:
        """Ends at the next step."""
        self.stopped.set()

    def run(self) -> None:
        """Runs until `stop`."""
        with ThreadPoolExecutor(READERS, "progress") as self._readers:
            super().run()

    def step(self) -> None:
        """Waits a second, and has the pods read that are due."""
        if self.stopped.wait(1.0):
            return
        for key in self.take_due(self._clock()):
            self._free.acquire()  # a read ends within its timeouts
            self.beat()
            if self.stopped.wait(self._bucket.reserve()):
                return
            try:
                self._readers.submit(self._read_one, key)
            except BaseException:
                self._free.release()
                raise

    def wrong(self) -> list[str]:
        """What is wrong with the thread, or with a read."""
        now = time.monotonic()
        hung = [
            f"{self.name} has read pod {key[0]}/{key[1]} for {now - since:.0f} s"
            for key, since in list(self._reading.items())
            if now - since > self.silent
        ]
        return super().wrong() or hung

    def _read_one(self, key: Key) -> None:
        """One read, in a thread of the pool, which would keep an exception to itself."""
        self._reading[key] = time.monotonic()
        try:
            self.read(key)
        except Exception:
            log.exception("no progress of pod %s/%s: %s", *key, BUG)
            self.count(self.kind)
        finally:
            self._reading.pop(key, None)
            self._free.release()

    def take_due(self, now: float) -> list[Key]:
        """Pods that are to be read now.

        Schedules those that have started, and forgets those that have ended.
        """
        pods = {uid_of(pod): key_of(pod) for pod in self._pods.by("running", "")}
        for uid in (self._known.keys() | self._failed.keys()) - pods.keys():
            self._known.pop(uid, None)
            self._failed.pop(uid, None)
        every, sooner = (interval(len(pods), self._rate, least) for least in (LEAST_INTERVAL, UNTIL_FIRST))
        for uid in pods.keys() - self._scheduled:
            self._scheduled.add(uid)
            soon = now + random.uniform(*FIRST)
            heapq.heappush(self._due, (soon, uid, pods[uid]))
        ready = []
        while self._due and self._due[0][0] <= now:
            _, uid, key = heapq.heappop(self._due)
            if uid not in pods:
                self._scheduled.discard(uid)
                continue
            wait = every if uid in self._known else sooner
            heapq.heappush(self._due, (now + wait * random.uniform(1.0, 1.1), uid, key))
            ready.append(key)
        return ready

    def read(self, key: Key) -> None:
        """Reads one pod's tail."""
        pod = self._pods.get(key)
        if pod is None or not running(pod) or terminating(pod) or self.stopped.is_set():
            return
        query = {"container": CONTAINER, "tailLines": str(TAIL_LINES), "limitBytes": str(LIMIT_BYTES)}
        uid = uid_of(pod)
        # The pods of a dead node must not keep the readers.
        if random.random() > 2.0 ** -min(RARER, self._failed.get(uid, 0)):
            return
        if uid in self._known:  # lines from before the last read are not new
            query["sinceSeconds"] = str(int(2 * interval(len(self._scheduled), self._rate)) + 10)
        try:
            progress = last_progress(self._api.text(Call("get", POD_LOGS, key[0], key[1], query=query), READ))
        except (ApiError, Unreachable) as error:
            log.debug("no progress of pod %s/%s: %s", *key, error)
            self._failed[uid] = self._failed.get(uid, 0) + 1
            return
        self._failed.pop(uid, None)
        if progress is not None and progress != self._known.get(uid):
            self._known[uid] = progress
            self._changed((key[0], request_name(pod)))
