"""Which request is looked at next. A key waits once, is never in two hands, and comes at the earliest time that anybody asked for.

`Schedule` is the rule, without clock and threads; `WorkQueue` lets workers wait on it.
"""

import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")

_SPARE = 64  # void entries that the heap may hold beside those that count
FIRST_BACKOFF, LAST_BACKOFF = (
    0.2,
    60.0,
)  # seconds after the first failure of a key, and at most: an outage is over within a minute


@dataclass
class Schedule(Generic[K]):
    """Keys with the time at which they are due. A key in hand that is asked for again waits until it is given back."""

    due: dict[K, float] = field(default_factory=dict)
    in_hand: set[K] = field(default_factory=set)
    failures: dict[K, int] = field(default_factory=dict)
    _heap: list[tuple[float, int, K]] = field(default_factory=list)
    _order: int = 0  # keys with the same due time come in the order they were asked for

    def ask(self, key: K, due: float) -> None:
        """Wants the key at `due`, or earlier if it is waited for already."""
        if due >= self.due.get(key, float("inf")):
            return
        self.due[key] = due
        if key not in self.in_hand:
            self._push(key)

    def take(self, now: float) -> tuple[K, float] | None:
        """A key that is due, with the time it was due at. It is in hand until it is given back."""
        if self.wait(now) != 0:
            return None
        due, _, key = heapq.heappop(self._heap)
        del self.due[key]
        self.in_hand.add(key)
        return key, due

    def wait(self, now: float) -> float | None:
        """Seconds until a key is due; None: nothing waits that could be taken."""
        while self._heap:
            due, _, key = self._heap[0]
            if self.due.get(key) == due and key not in self.in_hand:
                return max(0.0, due - now)
            heapq.heappop(self._heap)  # an earlier time was asked for since, or it was taken
        return None

    def give_back(self, key: K, now: float, *, failed: bool = False) -> None:
        """The key is done with. After a failure it comes again by itself: later each time."""
        self.in_hand.discard(key)
        if failed:
            count = self.failures[key] = self.failures.get(key, 0) + 1
            self.due[key] = min(
                self.due.get(key, float("inf")), now + min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** (count - 1))
            )
        else:
            self.failures.pop(key, None)
        if key in self.due:
            self._push(key)

    def forget(self, key: K) -> None:
        """The key is of no interest any more."""
        self.due.pop(key, None)
        self.failures.pop(key, None)

    def _push(self, key: K) -> None:
        self._order += 1
        heapq.heappush(self._heap, (self.due[key], self._order, key))
        if (
            len(self._heap) > 2 * len(self.due) + _SPARE
        ):  # entries that an earlier time, or `forget`, has made void
            self._heap = [
                entry
                for entry in self._heap
                if self.due.get(entry[2]) == entry[0] and entry[2] not in self.in_hand
            ]
            heapq.heapify(self._heap)


class WorkQueue(Generic[K]):
    """A Schedule that threads share. `waited(seconds)` is told how late each key came into a hand."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._schedule: Schedule[K] = Schedule()
        self._clock, self._waited = clock, waited
        self._changed = threading.Condition()
        self._closed = False

    def add(self, key: K, after: float = 0.0) -> None:
        """Wants the key in `after` seconds."""
        with self._changed:
            self._schedule.ask(key, self._clock() + after)
            self._changed.notify()

    def get(self) -> K | None:
        """The next key that is due; waits for one. None: the queue is closed."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                taken = self._schedule.take(now)
                if taken is not None:
                    self._waited(now - taken[1])
                    return taken[0]
                self._changed.wait(self._schedule.wait(now))
            return None

    def done(self, key: K, *, failed: bool = False) -> None:
        """The key is done with; after a failure it comes again by itself."""
        with self._changed:
            self._schedule.give_back(key, self._clock(), failed=failed)
            self._changed.notify()

    def forget(self, key: K) -> None:
        """The object is gone."""
        with self._changed:
            self._schedule.forget(key)

    def depth(self) -> int:
        """Keys that are due now."""
        with self._changed:
            now = self._clock()
            return sum(due <= now for due in self._schedule.due.values())

    def idle(self, within: float = 0.0) -> bool:
        """Nothing is in hand, and nothing is due within so many seconds."""
        with self._changed:
            now = self._clock()
            return not self._schedule.in_hand and all(
                due > now + within for due in self._schedule.due.values()
            )

    def close(self) -> None:
        """Workers get None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
