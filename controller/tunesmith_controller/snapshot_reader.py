"""SnapshotReader of requests, read from their ConfigMaps by name and remembered: they are immutable."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from tunesmith.children import snapshot_name
from tunesmith.wire import FROZEN_FILE, SNAPSHOT_FILE
from tunesmith_controller.api import Api, Call, NotFound
from tunesmith_controller.decide.model import Object, SnapshotMap
from tunesmith_controller.decide.reconcile import read_map
from tunesmith_controller.rights import CONFIG_MAPS

log = logging.getLogger(__name__)

KEPT = 16 * 2**20  # characters of snapshots in memory, as JSON; read, each takes some five times that
FRESH = 600.0  # seconds after which one is read again: somebody may have deleted it


class SnapshotReader:
    """`of(request)` reads what `status.snapshot` names; None if there is none, or if it is not this request's."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock = api, clock
        self._known: OrderedDict[tuple[str, str, str], tuple[float, SnapshotMap, int]] = (
            OrderedDict()
        )  # by namespace, name, owner's uid
        self._size = 0
        self._lock = threading.Lock()

    def of(self, request: Object) -> SnapshotMap | None:
        """Raises ApiError or Unreachable if it cannot be read for now."""
        name = (request.get("status") or {}).get("snapshot")
        if not name:
            return None
        metadata = request["metadata"]
        key = (metadata["namespace"], name, metadata["uid"])
        with self._lock:
            known = self._known.get(key)
            if known is not None and self._clock() - known[0] < FRESH:
                self._known.move_to_end(key)
                return known[1]
        try:
            found = self._api.send(Call("get", CONFIG_MAPS, metadata["namespace"], name))
        except NotFound:
            return None
        return self.remember(request, found)

    def remember(self, request: Object, item: Mapping[str, Any]) -> SnapshotMap | None:
        """Keeps a ConfigMap that was read or just written, if it is a snapshot of this request."""
        metadata = request["metadata"]
        if metadata["uid"] not in [owner["uid"] for owner in item["metadata"].get("ownerReferences", ())]:
            log.warning(
                "ConfigMap %s/%s is not this request's: its owner has another uid",
                metadata["namespace"],
                item["metadata"]["name"],
            )
            return None
        try:
            _check_content(metadata, item)
            read = read_map(item)
        except (KeyError, ValueError) as error:
            log.warning(
                "ConfigMap %s/%s holds no snapshot: %s",
                metadata["namespace"],
                item["metadata"]["name"],
                error,
            )
            return None
        size = len(item["data"][SNAPSHOT_FILE]) + len(item["data"][FROZEN_FILE])
        with self._lock:
            key = (metadata["namespace"], read.name, metadata["uid"])
            self._size += size - (self._known.pop(key)[2] if key in self._known else 0)
            self._known[key] = (self._clock(), read, size)
            while self._size > KEPT and len(self._known) > 1:
                self._size -= self._known.popitem(last=False)[1][2]
        return read


def _check_content(request: Mapping[str, Any], item: Mapping[str, Any]) -> None:
    """Raises ValueError if a ConfigMap has another content than its name says: then somebody else wrote it."""
    content = item["data"][SNAPSHOT_FILE] + item["data"][FROZEN_FILE]
    if (name := snapshot_name(request["name"], request["uid"], content)) != item["metadata"]["name"]:
        raise ValueError(f"with this content its name would be {name}; somebody else wrote it")
