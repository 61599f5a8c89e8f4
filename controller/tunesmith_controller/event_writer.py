"""Writes Events about requests, for `kubectl describe`.

Best effort: one thread writes each once, within a rate.
"""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tunesmith_controller.api import Api, ApiError, Call, Unreachable
from tunesmith_controller.decide.model import Note, Object
from tunesmith_controller.decide.objects import uid_of
from tunesmith_controller.rate import TokenBucket
from tunesmith_controller.rights import NEW_EVENTS
from tunesmith_controller.threads import Count, Lasting

log = logging.getLogger(__name__)

CONTROLLER = "tunesmith.dev/controller"
NOTE_BYTES = 1024  # the API refuses longer ones
WAITING = 1000  # Events that may wait to be written; further ones are dropped
REMEMBERED = 4096  # Events that were written, so that they are not written again
BURST = 50.0


def event(request: Object, note: Note, instance: str, at: datetime) -> dict[str, Any]:
    """An Event of events.k8s.io/v1. Pure but for its name."""
    metadata = request["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{uuid4().hex[:16]}", "namespace": metadata["namespace"]},
        "eventTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "type": note.type,
        "reason": note.reason[:128],
        "note": note.message.encode()[:NOTE_BYTES].decode(errors="ignore"),
        "regarding": {
            "apiVersion": request["apiVersion"],
            "kind": request["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }


class EventWriter(Lasting):
    """Takes notes from workers and writes them as Events, at most `rate` a second."""

    def __init__(
        self,
        api: Api,
        instance: str,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        count: Count = lambda _kind: None,
    ) -> None:
        super().__init__("events", count=count)
        self._api = api
        self._instance = instance
        self._clock = clock
        self._complained = float("-inf")
        self._bucket = TokenBucket(rate, BURST, clock)
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(WAITING)
        self._known: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    def write(self, request: Object, note: Note) -> None:
        """Writes an Event soon, unless the same one was written before."""
        key = (uid_of(request), note.reason, note.message)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return
            self._known[key] = None
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        try:
            self._waiting.put_nowait(event(request, note, self._instance, self._api.now()))
        except queue.Full:
            if self._clock() - self._complained > 60.0:
                self._complained = self._clock()
                text = "Events are dropped: %d wait already to be written, at %g a second"
                log.warning(text, WAITING, self._bucket.rate)

    def step(self) -> None:
        """Waits for a note and writes it."""
        self.rest()
        body = self._waiting.get()
        self.beat()
        time.sleep(self._bucket.reserve())
        try:
            self._api.send(Call("create", NEW_EVENTS, body["metadata"]["namespace"], body=body))
        except (ApiError, Unreachable) as error:
            log.info("an Event about %s was not written: %s", body["regarding"]["name"], error)
