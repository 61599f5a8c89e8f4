"""Notices that somebody else writes the statuses that this controller writes, and gives way.

Two installations that watch one namespace with different profiles would otherwise write against each other as
fast as they can.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith_controller.applied import without_empty
from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import status_of, uid_of
from tunesmith_controller.logs import log_keys
from tunesmith_controller.queue import doubled

log = logging.getLogger(__name__)

# How often a status may be another one than was written before its request has to wait: an edit by hand, or
# a server that was restored from a snapshot, is no rival.
FREE = 3
FIRST_WAIT, LAST_WAIT = 1.0, 600.0  # seconds


@dataclass(slots=True)
class _Written:
    """A status as it was last written, and how often it was another one later.

    `version`: of the request when that was last counted; `until`: monotonic time of the next look.
    """

    digest: int
    version: str
    count: int = 0
    until: float = 0.0


class Rivals:
    """The statuses written by this controller, by uid. Threads share one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written: dict[str, _Written] = {}
        self._lock = threading.Lock()

    def wrote(self, request: Object, version: str, status: Mapping[str, Any]) -> None:
        """Remembers what was written; `version` is the request's after it."""
        with self._lock:
            known = self._written.get(uid_of(request))
            if known is None:
                self._written[uid_of(request)] = _Written(_digest(status), version)
            else:
                known.digest, known.version = _digest(status), version

    def wait(self, request: Object) -> float:
        """Seconds until the request may be looked at; 0 for at once.

        They double with each status that somebody else has written.
        """
        version = str(request["metadata"]["resourceVersion"])
        with self._lock:
            known = self._written.get(uid_of(request))
            if known is None:
                return 0.0
            if version != known.version and _digest(status_of(request)) != known.digest:
                self._count(known, request)
            known.version = version
            return max(0.0, known.until - self._clock())

    def forget(self, uid: str) -> None:
        """Drops what is known of a request that is gone."""
        with self._lock:
            self._written.pop(uid, None)

    def _count(self, known: _Written, request: Object) -> None:
        known.count += 1
        if known.count <= FREE:
            return
        wait = doubled(FIRST_WAIT, known.count - FREE, LAST_WAIT)
        known.until = self._clock() + wait
        log.warning(
            "somebody else has written this status, the %d. time; it is left alone for %.0f s. "
            "Does another installation of Tunesmith watch its namespace?",
            known.count,
            wait,
            extra=log_keys(request),
        )


def _digest(status: Mapping[str, Any]) -> int:
    """A number that is the same for equal statuses; the API server gives 1.0 back as 1, which is equal."""
    return hash(_frozen(without_empty(status)))


def _frozen(value: Any) -> Any:
    """A JSON value that can be hashed."""
    if isinstance(value, dict):
        return tuple(
            sorted(((name, _frozen(inner)) for name, inner in value.items()), key=lambda member: member[0])
        )
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
