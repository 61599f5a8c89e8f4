"""Keeps a cache equal to what the API server holds: list once, then watch, and list again when the server has forgotten where we were.

Three layers, one kind of failure each. `_watch` is one HTTP request: it ends, or raises. `_follow` knows 410: the version is lost, list
again. `run` knows the rest: wait, longer each time, and go on from the last version seen; the wait is reset by progress only, since a
server that accepts and ends each watch at once would be asked thousands of times a second otherwise (seen with the client's informer).
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
    """Seconds; tests use shorter ones. A server ends a watch after `watch`, drawn anew each time so that not all come back together.

    The server sends a bookmark each minute, so a socket that is silent for `silence` is dead and is opened again.
    """

    watch: tuple[float, float] = (240.0, 480.0)
    silence: float = 150.0
    list_read: float = 60.0
    backoff: tuple[float, float] = (0.5, 30.0)
    healthy: float = 5.0  # a watch that lived this long is progress, even without an event


@dataclass(frozen=True)
class Observer:
    """Who counts: `restarted(reason)` for each watch that ended, `listed()` for each list."""

    restarted: Callable[[str], None] = lambda _reason: None
    listed: Callable[[], None] = lambda: None


class Reflector(threading.Thread):
    """One resource, in one namespace or in all (""), into a cache that others may fill too. `synced` is set after the first list."""

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
        super().__init__(
            name=f"reflector-{resource.plural}{'-' + namespace if namespace else ''}", daemon=True
        )
        self._api, self._resource, self._store = api, resource, cache
        self._namespace, self._selector, self._clock, self._observer = namespace, selector, clock, observer
        self._version = ""  # "" when the next step is a list
        self.synced, self.stopped = threading.Event(), threading.Event()
        self.beat = time.monotonic()  # when the loop was last seen to move, for the liveness probe

    def stop(self) -> None:
        """Ends the loop at its next step; a watch that waits ends with the process."""
        self.stopped.set()

    def run(self) -> None:
        """Until `stop`."""
        failures = 0
        while not self.stopped.is_set():
            self.beat = started = time.monotonic()
            progress, reason, least = False, "ended", 0.0
            try:
                for _ in self._follow():
                    progress = True
                    self.beat = time.monotonic()
                    if self.stopped.is_set():
                        return
            except Gone:
                self._version, reason = "", "gone"
            except Unreachable as error:
                reason = "unreachable"
                log.info("%s: %s", self.name, error)
            except ApiError as error:
                reason, least = str(error.status), error.retry_after
                log.warning("%s: %s", self.name, error)
            except Exception:
                reason, self._version = "error", ""  # a mistake of ours must not stop the cache for good
                log.exception("%s: unexpected; lists again", self.name)
            self._observer.restarted(reason)
            if reason == "ended" and (progress or time.monotonic() - started > self._clock.healthy):
                failures = 0
                continue
            failures = 1 if progress and reason != "gone" else failures + 1
            low, high = self._clock.backoff
            self.stopped.wait(max(least, min(high, low * 2 ** (failures - 1)) * random.uniform(0.5, 1)))

    def _follow(self) -> Iterator[None]:
        """Lists if need be, then one watch; yields at each sign of life."""
        if not self._version:
            self._version = self._list()
            self.synced.set()
            self._observer.listed()
        for event in self._watch(self._version):
            item = event["object"]
            match event["type"]:
                case "ADDED" | "MODIFIED":
                    self._store.put_event(item)
                case "DELETED":
                    self._store.remove(item)
                case "ERROR":
                    raise error_of(int(item.get("code") or 500), json.dumps(item).encode())
                case _:
                    pass  # a BOOKMARK: nothing but a version
            self._version = item["metadata"]["resourceVersion"]
            yield

    def _list(self) -> str:
        """Fills the cache, removes from it what is gone, and returns the version to watch from. Raises Gone if a page has expired."""
        seen: set[Key] = set()
        token = ""
        while True:
            query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
            page = self._api.send(self._call("list", query), Timeout(read=self._clock.list_read))
            for item in page.get("items") or ():
                # the items of a list of a built-in kind carry neither
                item.setdefault("apiVersion", page.get("apiVersion", ""))
                item.setdefault("kind", self._resource.kind)
                seen.add(key_of(item))
                self._store.put(item)
            self.beat = time.monotonic()
            token = page["metadata"].get("continue") or ""
            if not token:
                self._store.keep_only(self._namespace, seen)
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
                raise Unreachable(f"watch {self._resource.name}: a line is no JSON") from error
            yield event

    def _call(self, verb: Any, query: Mapping[str, str]) -> Call:
        selector = {"labelSelector": self._selector} if self._selector else {}
        return Call(verb, self._resource, self._namespace, query={**query, **selector})
