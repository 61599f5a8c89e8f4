"""Keeps a cache equal to what the API server holds: lists once, then watches.

Three layers handle one kind of failure each. `_watch` is one HTTP request: it ends, or raises. `_follow`
handles 410: the version has expired, so it lists again. `run` handles the rest: it waits, longer each time,
and continues from the last version seen. Only progress resets the wait: a server that accepts each watch and
ends it at once would otherwise be asked thousands of times a second (seen with the client's informer).
"""

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith_controller.api import Api, ApiError, Call, Gone, Timeout, Unreachable, error_of
from tunesmith_controller.cache import Cache, Key, key_of
from tunesmith_controller.rights import Resource

log = logging.getLogger(__name__)

PAGE = 500  # objects of a list at once; client-go's size


@dataclass(frozen=True)
class Clock:
    """Seconds; tests use shorter ones.

    The server ends a watch after `watch`, drawn anew each time so that not all of them come back together. It
    sends a bookmark each minute, so a socket that is silent for `silence` is dead and is opened again.
    """

    watch: tuple[float, float] = (240.0, 480.0)
    silence: float = 150.0
    list_read: float = 60.0
    backoff: tuple[float, float] = (0.5, 30.0)
    healthy: float = 5.0  # a watch that lived this long is progress, even without an event


@dataclass(frozen=True)
class Observer:
    """Counts: `restarted(reason)` is called for each watch that ended, `listed()` for each list."""

    restarted: Callable[[str], None] = lambda _reason: None
    listed: Callable[[], None] = lambda: None


class Reflector(threading.Thread):
    """One resource, in one namespace or in all (""), into a cache that is written by others too.

    `synced` is set after the first list; `beat` is when the loop was last seen to move, for the liveness
    probe.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource,
        cache: Cache,
        *,
        namespace: str = "",
        selector: str = "",
        clock: Clock = Clock(),
        observer: Observer = Observer(),
    ) -> None:
        super().__init__(name="-".join(filter(None, ("reflector", resource.plural, namespace))), daemon=True)
        self._api = api
        self._resource = resource
        self._cache = cache
        self._namespace = namespace
        self._selector = selector
        self._clock = clock
        self._observer = observer
        self._version = ""  # empty when the next step is a list
        self.synced = threading.Event()
        self.stopped = threading.Event()
        self.beat = time.monotonic()

    def stop(self) -> None:
        """Ends the loop at its next step; a waiting watch ends with the process."""
        self.stopped.set()

    def run(self) -> None:
        """Runs until `stop`."""
        failures = 0
        while not self.stopped.is_set():
            self.beat = started = time.monotonic()
            progress = False
            reason = "ended"
            least = 0.0
            try:
                for _ in self._follow():
                    progress = True
                    self.beat = time.monotonic()
                    if self.stopped.is_set():
                        return
            except Gone:
                reason = "gone"
                self._version = ""
            except Unreachable as error:
                reason = "unreachable"
                log.info("%s: %s", self.name, error)
            except ApiError as error:
                reason = str(error.status)
                least = error.retry_after
                log.warning("%s: %s", self.name, error)
            except Exception:
                reason = "error"
                self._version = ""  # a bug must not stop the cache for good
                log.exception("%s: unexpected; lists again", self.name)
            self._observer.restarted(reason)
            if reason == "ended" and (progress or time.monotonic() - started > self._clock.healthy):
                failures = 0
                continue
            failures = 1 if progress and reason != "gone" else failures + 1
            low, high = self._clock.backoff
            self.stopped.wait(max(least, min(high, low * 2 ** (failures - 1)) * random.uniform(0.5, 1)))

    def _follow(self) -> Iterator[None]:
        """Lists if necessary, then makes one watch; yields at each sign of life."""
        if not self._version:
            self._version = self._list()
            self.synced.set()
            self._observer.listed()
        for event in self._watch(self._version):
            item = event["object"]
            match event["type"]:
                case "ADDED" | "MODIFIED":
                    self._cache.put_event(item)
                case "DELETED":
                    self._cache.remove(item)
                case "ERROR":
                    raise error_of(int(item.get("code") or 500), json.dumps(item).encode())
                case _:
                    pass  # a BOOKMARK, which only carries a version
            self._version = item["metadata"]["resourceVersion"]
            yield

    def _list(self) -> str:
        """Fills the cache, removes what is gone, and returns the version to watch from.

        Raises Gone if a page has expired.
        """
        seen: set[Key] = set()
        token = ""
        while True:
            query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
            page = self._api.send(self._call("list", query), Timeout(read=self._clock.list_read))
            for item in page.get("items") or ():
                # The items in a list of a built-in kind lack both.
                item.setdefault("apiVersion", page.get("apiVersion", ""))
                item.setdefault("kind", self._resource.kind)
                seen.add(key_of(item))
                self._cache.put(item)
            self.beat = time.monotonic()
            token = page["metadata"].get("continue") or ""
            if not token:
                self._cache.keep_only(self._namespace, seen)
                return str(page["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> Iterator[dict[str, Any]]:
        """The events of one request. Ends when the server ends it; raises Gone, ApiError or Unreachable."""
        seconds = random.uniform(*self._clock.watch)
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        for line in self._api.lines(
            self._call("watch", query), Timeout(read=min(seconds + 30, self._clock.silence))
        ):
            try:
                event: dict[str, Any] = json.loads(line)
            except ValueError as error:
                raise Unreachable(f"watch {self._resource.name}: a line is not JSON") from error
            yield event

    def _call(self, verb: Any, query: Mapping[str, str]) -> Call:
        selector = {"labelSelector": self._selector} if self._selector else {}
        return Call(verb, self._resource, self._namespace, query={**query, **selector})
