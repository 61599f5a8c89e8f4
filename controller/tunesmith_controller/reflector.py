"""Keeps a cache equal to what the API server holds: lists once, then watches.

Three layers handle one kind of failure each. `_watch` is one HTTP request: it ends, or raises. `_follow`
handles 410: the version has expired, so it lists again. `step` handles the rest: it waits, longer each time,
and continues from the last version seen. Only progress resets the wait: a server that accepts each watch and
ends it at once would otherwise be asked thousands of times a second (seen with the client's informer).

An object that cannot be read, or that the cache cannot take, costs the others nothing: what can be read of it
is kept (salvage.py), at the least its metadata and status.
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
from tunesmith_controller.decide.objects import UNREADABLE
from tunesmith_controller.queue import doubled
from tunesmith_controller.rights import Resource
from tunesmith_controller.salvage import read_event, read_page
from tunesmith_controller.threads import BUG, Count, Lasting

log = logging.getLogger(__name__)

# Objects of a list at once: first, and at most (client-go's number). A page takes some six times its bytes
# while it is read, and Python gives little of that back.
FIRST_PAGE, LARGEST_PAGE = 10, 500
PAGE_BYTES = 2**20
PATIENCE = 60.0  # seconds that a Retry-After is obeyed for; a server may ask for years
# Seconds without a sign of life after which a reflector hangs; without an API server it tries each 30 s.
SILENT = 600.0


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
    """Counts: `restarted(reason)` is called for each watch that ended, `listed()` for each list.

    `failed(kind)`: for each exception that the thread has survived.
    """

    restarted: Callable[[str], None] = lambda _reason: None
    listed: Callable[[], None] = lambda: None
    failed: Count = lambda _kind: None


def next_limit(limit: int, size: int) -> int:
    """Objects to ask for in the next page of a list, by the size of the last one in bytes. Pure.

    Objects differ: of those of 5 KB, hundreds fit into a page, of those of 600 KB only one.
    """
    fits = limit * PAGE_BYTES // max(1, size)
    return max(1, min(fits, 8 * limit, LARGEST_PAGE))


class Reflector(Lasting):
    """One resource, in one namespace or in all (""), into a cache that is written by others too.

    `synced` is set after the first list.
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
        name = "-".join(filter(None, ("reflector", resource.plural, namespace)))
        kind = f"reflector-{resource.plural}"
        super().__init__(name, kind=kind, silent=SILENT, count=observer.failed)
        self._api = api
        self._resource = resource
        self._cache = cache
        self._namespace = namespace
        self._selector = selector
        self._clock = clock
        self._observer = observer
        self._version = ""  # empty when the next step is a list
        self._failures = 0  # in a row
        self.synced = threading.Event()

    def stop(self) -> None:
        """Ends the loop at its next step; a waiting watch ends with the process."""
        self.stopped.set()

    def step(self) -> None:
        """One watch, after a list if necessary, and the wait after it."""
        started = time.monotonic()
        progress = False
        reason = "ended"
        least = 0.0
        try:
            for _ in self._follow():
                progress = True
                self.beat()
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
            least = min(error.retry_after, PATIENCE)
            log.warning("%s: %s", self.name, error)
        except Exception:
            reason = "error"
            self._version = ""  # a bug must not stop the cache for good
            log.exception("%s: %s. It lists again", self.name, BUG)
            self.count(self.kind)
        self._observer.restarted(reason)
        if reason == "ended" and (progress or time.monotonic() - started > self._clock.healthy):
            self._failures = 0
            return
        # A watch that has to list again has made no progress, whatever it brought before.
        self._failures = 1 if progress and self._version else self._failures + 1
        low, high = self._clock.backoff
        self.stopped.wait(max(least, doubled(low, self._failures, high) * random.uniform(0.5, 1)))

    def _follow(self) -> Iterator[None]:
        """Lists if necessary, then makes one watch; yields at each sign of life."""
        if self._failures and self._version and self._has_gone_back():
            self._version = ""
        if not self._version:
            self._version = self._list()
            self.synced.set()
            self._observer.listed()
        for event in self._watch(self._version):
            item = event["object"]
            match event["type"]:
                case "ADDED" | "MODIFIED":
                    self._keep(self._cache.put_event, item)
                case "DELETED":
                    self._cache.remove(item)
                case "ERROR":
                    raise error_of(int(item.get("code") or 500), json.dumps(item).encode())
                case _:
                    pass  # a BOOKMARK, which only carries a version
            self._version = item["metadata"]["resourceVersion"]
            yield

    def _has_gone_back(self) -> bool:
        """Whether the server has lower versions than before: its data were restored from a snapshot.

        A watch from the last version would then be silent. This is asked after failures only, as nobody can
        restore data without an interruption.
        """
        page, _ = self._page({"limit": "1"})
        newest = str(page["metadata"]["resourceVersion"])
        numbers = newest.isdigit() and self._version.isdigit()
        if not numbers or int(newest) >= int(self._version):
            return False
        log.warning("%s: the API server was at version %s and is at %s", self.name, self._version, newest)
        return True

    def _list(self) -> str:
        """Fills the cache, removes what is gone, and returns the version to watch from.

        Raises Gone if a page has expired.
        """
        seen: set[Key] = set()
        complete = True
        token, limit = "", FIRST_PAGE
        while True:
            query = {"limit": str(limit)} | ({"continue": token} if token else {})
            page, size = self._page(query)
            limit = next_limit(limit, size)
            for item in page.get("items") or ():
                # The items in a list of a built-in kind lack both.
                item.setdefault("apiVersion", page.get("apiVersion", ""))
                item.setdefault("kind", self._resource.kind)
                if self._keep(self._cache.put, item):
                    seen.add(key_of(item))
                else:
                    complete = False
            self.beat()
            token = page["metadata"].get("continue") or ""
            if not token:
                if complete:  # otherwise one that seems to be gone may be the one that was not understood
                    self._cache.keep_only(self._namespace, seen)
                return str(page["metadata"]["resourceVersion"])

    def _page(self, query: Mapping[str, str]) -> tuple[dict[str, Any], int]:
        """A page of a list, and its size in bytes."""
        size = 0

        def read(text: bytes) -> dict[str, Any]:
            nonlocal size
            size = len(text)
            return read_page(text)

        call, timeout = self._call("list", query), Timeout(read=self._clock.list_read)
        return self._api.send(call, timeout, read=read), size

    def _keep(self, put: Callable[[dict[str, Any]], None], item: dict[str, Any]) -> bool:
        """Puts an object into the cache, or else what every object has; returns whether that was possible."""
        try:
            put(item)
        except Exception as error:
            log.exception("%s: %s. An object is kept without its spec", self.name, BUG)
            self.count(self.kind)
            return self._keep_stub(put, item, error)
        return True

    def _keep_stub(
        self, put: Callable[[dict[str, Any]], None], item: dict[str, Any], error: Exception
    ) -> bool:
        try:
            put(_stub(item, error))
        except Exception:
            log.exception("%s: %s. An object without what every object has is left out", self.name, BUG)
            return False
        return True

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
                event = read_event(line)
            except (ValueError, RecursionError) as error:
                self._version = ""  # the next watch would bring the same line
                raise Unreachable(f"watch {self._resource.name}: a line cannot be read") from error
            yield event

    def _call(self, verb: Any, query: Mapping[str, str]) -> Call:
        selector = {"labelSelector": self._selector} if self._selector else {}
        return Call(verb, self._resource, self._namespace, query={**query, **selector})


def _stub(item: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """Who an object is and how it is, without its spec, in which something could not be handled."""
    why = f"cannot be handled ({type(error).__name__})"
    known = {name: item[name] for name in ("apiVersion", "kind", "metadata", "status") if name in item}
    return {**known, UNREADABLE: {"spec": why}}
