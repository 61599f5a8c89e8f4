"""Which request is looked at next.

A key waits once, is held by at most one worker, and is due at the earliest time that was asked for.

`Schedule` is the rule, without clock and threads; `WorkQueue` lets workers wait on it.
"""

import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")

_SPARE = 64  # void entries that the heap may hold in addition to the valid ones
# Seconds after the first failure of a key, and at most: after an outage, work resumes within a minute.
FIRST_BACKOFF = 0.2
LAST_BACKOFF = 60.0
LONGEST = 86_400.0  # seconds that a key waits at most; a lock cannot wait for a century


def doubled(first: float, count: int, most: float) -> float:
    """Seconds to wait after so many failures in a row: `first`, twice that, and so on. Pure.

    The power is bounded too: 2.0 ** 1024 is an error, which comes after 17 hours of a wait of a minute each.
    """
    return min(most, first * 2.0 ** min(count - 1, 64))


def bounded(seconds: float) -> float:
    """Seconds that a lock can wait; what is not a number counts as the longest. Pure."""
    return max(0.0, seconds) if seconds < LONGEST else LONGEST


@dataclass
class Schedule(Generic[K]):
    """Keys with the time at which they are due.

    A key that is asked for while a worker holds it waits until it is given back.
    """

    due: dict[K, float] = field(default_factory=dict)
    in_hand: set[K] = field(default_factory=set)
    failures: dict[K, int] = field(default_factory=dict)
    heap: list[tuple[float, int, K]] = field(default_factory=list)
    _order: int = 0  # keys with the same due time come in the order they were asked for

    def ask(self, key: K, due: float) -> None:
        """Asks for the key at `due`, unless it is due earlier already."""
        if due >= self.due.get(key, float("inf")):
            return
        self.due[key] = due
        if key not in self.in_hand:
            self._push(key)

    def take(self, now: float) -> tuple[K, float] | None:
        """A key that is due, with the time at which it was. The caller holds it until it is given back."""
        if self.wait(now) != 0:
            return None
        due, _, key = heapq.heappop(self.heap)
        del self.due[key]
        self.in_hand.add(key)
        return key, due

    def wait(self, now: float) -> float | None:
        """Seconds until a key is due; None if no key waits that could be taken."""
        while self.heap:
            due, _, key = self.heap[0]
            if self.due.get(key) == due and key not in self.in_hand:
                return max(0.0, due - now)
            heapq.heappop(self.heap)  # an earlier time was asked for since, or it was taken
        return None

    def next_due(self) -> float:
        """When the next key is due; infinity if no key waits that could be taken."""
        wait = self.wait(0.0)
        return float("inf") if wait is None else self.heap[0][0]

    def give_back(self, key: K, now: float, *, failed: bool = False) -> None:
        """Gives a key back. After a failure it is due again by itself, later each time."""
        self.in_hand.discard(key)
        if failed:
            count = self.failures[key] = self.failures.get(key, 0) + 1
            backoff = doubled(FIRST_BACKOFF, count, LAST_BACKOFF)
            self.due[key] = min(self.due.get(key, float("inf")), now + backoff)
        else:
            self.failures.pop(key, None)
        if key in self.due:
            self._push(key)

    def forget(self, key: K) -> None:
        """Drops a key."""
        self.due.pop(key, None)
        self.failures.pop(key, None)

    def _push(self, key: K) -> None:
        self._order += 1
        heapq.heappush(self.heap, (self.due[key], self._order, key))
        if len(self.heap) > 2 * len(self.due) + _SPARE:
            self._drop_void()

    def _drop_void(self) -> None:
        """Drops the entries that an earlier time, or `forget`, has made void."""
        self.heap = [
            (due, order, key)
            for due, order, key in self.heap
            if self.due.get(key) == due and key not in self.in_hand
        ]
        heapq.heapify(self.heap)


class WorkQueue(Generic[K]):
    """A Schedule that threads share. `waited(seconds)` is called with how late each key was taken."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.schedule: Schedule[K] = Schedule()
        self._clock = clock
        self._waited = waited
        self._changed = threading.Condition()
        self._closed = False

    def add(self, key: K, after: float = 0.0) -> None:
        """Asks for the key in `after` seconds, or in a day if that is longer."""
        with self._changed:
            due = self._clock() + bounded(after)
            is_next = due < self.schedule.next_due()
            self.schedule.ask(key, due)
            if is_next:  # otherwise those who wait need not look again
                self._changed.notify()

    def get(self) -> K | None:
        """Waits for a key that is due, and takes it; None once the queue is closed."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                taken = self.schedule.take(now)
                if taken is not None:
                    self._waited(now - taken[1])
                    self._changed.notify()  # the next one may wait for a later key than is due now
                    return taken[0]
                self._changed.wait(self.schedule.wait(now))
            return None

    def done(self, key: K, *, failed: bool = False) -> None:
        """Gives a key back; after a failure it is due again by itself."""
        with self._changed:
            self.schedule.give_back(key, self._clock(), failed=failed)
            self._changed.notify()

    def forget(self, key: K) -> None:
        """Drops a key whose object is gone."""
        with self._changed:
            self.schedule.forget(key)

    def depth(self) -> int:
        """How many keys are due now."""
        with self._changed:
            now = self._clock()
            return sum(due <= now for due in self.schedule.due.values())

    def idle(self, within: float = 0.0) -> bool:
        """Whether no worker holds a key, and no key is due within so many seconds."""
        with self._changed:
            now = self._clock()
            return not self.schedule.in_hand and all(due > now + within for due in self.schedule.due.values())

    def close(self) -> None:
        """Lets workers end: they get None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
