"""Remembers the creates that the API server refused, and when each may be tried again."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tunesmith_controller.decide.model import Object
from tunesmith_controller.queue import doubled

# Seconds until a refused create is tried again, at first and at most: a fix shows within a minute.
FIRST_RETRY = 5.0
LAST_RETRY = 60.0


@dataclass(frozen=True)
class Refusal:
    """What the API server refused to create, and why.

    `until`: monotonic time before which it is not tried again, unless the request is edited; `count`:
    refusals in a row.
    """

    message: str
    generation: int
    until: float
    count: int


class Refusals:
    """Refused creates by uid of the request.

    Changes of the request's objects do not shorten their backoff.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Refusal] = {}

    def message(self, uid: str) -> str:
        """What could not be created the last time, and why; empty if all could."""
        known = self._known.get(uid)
        return known.message if known else ""

    def wait(self, request: Object) -> float:
        """Seconds until a create may be tried again."""
        known = self._known.get(request["metadata"]["uid"])
        if known is None or known.generation != request["metadata"].get("generation"):
            return 0.0
        return max(0.0, known.until - self._clock())

    def add(self, request: Object, message: str) -> None:
        """Remembers that a create was refused."""
        uid = request["metadata"]["uid"]
        count = self._known[uid].count + 1 if uid in self._known else 1
        wait = doubled(FIRST_RETRY, count, LAST_RETRY)
        self._known[uid] = Refusal(
            message, request["metadata"].get("generation", 0), self._clock() + wait, count
        )

    def clear(self, uid: str) -> None:
        """Forgets a refusal: a create succeeded, there is nothing left to create, or the request is gone."""
        self._known.pop(uid, None)
