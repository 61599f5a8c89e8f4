"""Reads the snapshots of requests from their ConfigMaps by name, and remembers them: they are immutable."""

import json
import logging
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.children import snapshot_name
from tunesmith.wire import FROZEN_FILE, SNAPSHOT_FILE
from tunesmith_controller.api import Api, Call, NotFound
from tunesmith_controller.decide.model import Object, SnapshotMap
from tunesmith_controller.decide.objects import name_of, owner_uids, uid_of
from tunesmith_controller.decide.reconcile import read_map
from tunesmith_controller.rights import CONFIG_MAPS

log = logging.getLogger(__name__)

KEPT = 16 * 2**20  # bytes of compressed snapshots in memory: of 6,000 usual requests, at 2.6 KB each
FRESH = 3600.0  # seconds after which one is read again: somebody may have deleted it
_FAST = 1  # zlib's level


@dataclass(frozen=True, slots=True)
class _Known:
    """A snapshot's ConfigMap, compressed, with when it was read by the monotonic clock."""

    read: float
    packed: bytes


class SnapshotReader:
    """Reads snapshots. Threads share one."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        # By namespace, name and the owner's uid.
        self._known: OrderedDict[tuple[str, str, str], _Known] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def of(self, request: Object) -> SnapshotMap | None:
        """What `status.snapshot` names; None if it does not exist or is another request's.

        Raises ApiError or Unreachable if it cannot be read now.
        """
        name = (request.get("status") or {}).get("snapshot")
        if not name:
            return None
        metadata = request["metadata"]
        key = (metadata["namespace"], name, metadata["uid"])
        with self._lock:
            known = self._known.get(key)
            if known is not None and self._clock() - known.read < FRESH:
                self._known.move_to_end(key)
                return read_map(json.loads(zlib.decompress(known.packed)))
        try:
            config_map = self._api.send(Call("get", CONFIG_MAPS, metadata["namespace"], name))
        except NotFound:
            return None
        return self.remember(request, config_map)

    def remember(self, request: Object, item: Mapping[str, Any]) -> SnapshotMap | None:
        """Keeps a ConfigMap that was read or just written, if it is a snapshot of this request."""
        metadata = request["metadata"]
        namespace = metadata["namespace"]
        if uid_of(request) not in owner_uids(item):
            text = "ConfigMap %s/%s is not this request's: its owner has another uid"
            log.warning(text, namespace, name_of(item))
            return None
        try:
            _check_content(metadata, item)
            snapshot = read_map(item)
        except (KeyError, ValueError) as error:
            log.warning("ConfigMap %s/%s does not hold a snapshot: %s", namespace, name_of(item), error)
            return None
        content = {"metadata": {"name": snapshot.name}, "data": item["data"]}
        packed = zlib.compress(json.dumps(content).encode(), _FAST)
        with self._lock:
            key = (namespace, snapshot.name, uid_of(request))
            before = self._known.pop(key, None)
            if before is not None:
                self._size -= len(before.packed)
            self._known[key] = _Known(self._clock(), packed)
            self._size += len(packed)
            while self._size > KEPT and len(self._known) > 1:
                _, oldest = self._known.popitem(last=False)
                self._size -= len(oldest.packed)
        return snapshot

    def forget(self, uid: str) -> None:
        """Drops the snapshots of a request that is gone."""
        with self._lock:
            for key in [key for key in self._known if key[2] == uid]:
                self._size -= len(self._known.pop(key).packed)


def _check_content(request: Mapping[str, Any], item: Mapping[str, Any]) -> None:
    """Raises ValueError if the content of a ConfigMap does not match its name: somebody else wrote it."""
    content = item["data"][SNAPSHOT_FILE] + item["data"][FROZEN_FILE]
    name = snapshot_name(request["name"], request["uid"], content)
    if name != name_of(item):
        raise ValueError(f"with this content its name would be {name}; somebody else wrote it")
