"""The cache of one kind of object, with indexes.

Threads share one; its objects are only ever replaced as a whole. What rarely changes any more is kept as
compressed text: as Python objects, ten thousand finished requests with their Jobs would take half a gigabyte.
"""

import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import UNREADABLE, uid_of

Key = tuple[str, str]  # namespace, name
Index = Callable[[Object], Iterable[str]]
Changed = Callable[[Object | None, Object | None], None]  # before, after; None: not there
_BURIED = 4096  # uids of deleted objects, which a late answer to a write must not bring back
_FAST = 1  # zlib's level: a tenth of a status' size, in 30 µs


def key_of(item: Object) -> Key:
    """Namespace and name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


@dataclass(frozen=True, slots=True)
class _Kept:
    """An object in the cache. `found_by`: its values in each index, in their order."""

    uid: str
    version: str
    summary: Any
    found_by: tuple[tuple[str, ...], ...]
    content: Object | bytes

    def object(self) -> Object:
        """The object itself."""
        if not isinstance(self.content, bytes):
            return self.content
        unpacked: Object = json.loads(zlib.decompress(self.content))
        return unpacked


class Cache:
    """Objects by key, and by each index.

    `trim` cuts an object down to what is read, before it is kept; `summary`: what is asked of all objects at
    once, without reading each; `packed`: whether an object is kept as compressed text. `changed` is told of
    every change, `buried` of the last state of each object that is gone.
    """

    def __init__(
        self,
        trim: Callable[[dict[str, Any]], Object],
        indexes: Mapping[str, Index] | None = None,
        *,
        summary: Callable[[Object], Any] = uid_of,
        packed: Callable[[Object], bool] = lambda _item: False,
    ) -> None:
        self._trim = trim
        self._indexes = dict(indexes or {})
        self._summary = summary
        self._packed = packed
        self._kept: dict[Key, _Kept] = {}
        self._by: dict[str, dict[str, set[Key]]] = {name: {} for name in self._indexes}
        self._buried: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.RLock()
        self.changed: Changed = lambda _before, _after: None
        self.buried: Callable[[Object], None] = lambda _last: None

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def get(self, key: Key) -> Object | None:
        """The object of a key."""
        kept = self._kept.get(key)
        return kept.object() if kept is not None else None

    def all(self) -> list[Object]:
        """Every object."""
        with self._lock:
            every = list(self._kept.values())
        return [kept.object() for kept in every]

    def by(self, index: str, value: str) -> list[Object]:
        """The objects that an index has under a value, by name."""
        return [kept.object() for kept in self._found(index, value)]

    def summary(self, key: Key) -> Any | None:
        """The summary of the object of a key."""
        kept = self._kept.get(key)
        return kept.summary if kept is not None else None

    def summaries(self) -> list[Any]:
        """The summary of every object."""
        with self._lock:
            return [kept.summary for kept in self._kept.values()]

    def summaries_by(self, index: str, value: str) -> list[Any]:
        """The summaries of the objects that an index has under a value, by name."""
        return [kept.summary for kept in self._found(index, value)]

    def _found(self, index: str, value: str) -> list[_Kept]:
        with self._lock:
            return [self._kept[key] for key in sorted(self._by[index].get(value, ()))]

    def put(self, item: dict[str, Any]) -> None:
        """Takes an object from a list, whatever was known: a restored server has lower versions."""
        with self._lock:
            self._buried.pop(uid_of(item), None)  # a restored server has it again
            self._replace(key_of(item), item)

    def put_event(self, item: dict[str, Any]) -> None:
        """Takes an object from the watch, unless the answer to a write was newer.

        Otherwise the next write would be a conflict.
        """
        with self._lock:
            known = self._kept.get(key_of(item))
            if known is not None and known.uid == uid_of(item) and _newer(known.version, _version(item)):
                current = known.object()
                self.changed(current, current)  # nobody was told of what the answer brought
                return
            self._replace(key_of(item), item)

    def put_answer(self, item: dict[str, Any], *, tell: bool = False) -> None:
        """Takes the answer to a call, if it is newer than what is known and the object is not gone.

        `tell`: it may be news.
        """
        with self._lock:
            known = self._kept.get(key_of(item))
            if uid_of(item) in self._buried:
                return
            if known is not None and not _newer(_version(item), known.version):
                return
            self._replace(key_of(item), item, tell=tell)

    def remove(self, item: Object) -> None:
        """Drops an object that is gone, as the watch says."""
        with self._lock:
            self._bury(key_of(item))

    def keep_only(self, namespace: str, keys: Collection[Key]) -> None:
        """Drops the objects that a list lacks. `namespace`: the one that was listed; empty for all."""
        with self._lock:
            for key in [key for key in self._kept if key not in keys and namespace in ("", key[0])]:
                self._bury(key)

    def _replace(self, key: Key, item: dict[str, Any], *, tell: bool = True) -> None:
        old = self._kept.get(key)
        if old is not None and old.version == _version(item):
            return
        new = self._trimmed(item)
        kept = self._keep(new)  # what one object makes impossible is seen before anything has changed
        if old is not None and old.uid != uid_of(item):
            self._bury(key)  # deleted and created again while nobody looked
            old = None
        if old is not None:
            self._unindex(key, old)
        self._kept[key] = kept
        for index, values in zip(self._by.values(), kept.found_by, strict=True):
            for value in values:
                index.setdefault(value, set()).add(key)
        if tell:
            self.changed(old.object() if old is not None else None, new)

    def _trimmed(self, item: dict[str, Any]) -> Object:
        """What is kept of an object, and in any case what could not be read of it."""
        kept = self._trim(item)
        return {**kept, UNREADABLE: item[UNREADABLE]} if UNREADABLE in item else kept

    def _keep(self, item: Object) -> _Kept:
        return _Kept(
            uid=uid_of(item),
            version=_version(item),
            summary=self._summary(item),
            found_by=tuple(tuple(index(item)) for index in self._indexes.values()),
            content=zlib.compress(json.dumps(item).encode(), _FAST) if self._packed(item) else item,
        )

    def _bury(self, key: Key) -> None:
        old = self._kept.pop(key, None)
        if old is None:
            return
        self._unindex(key, old)
        self._buried[old.uid] = None
        if len(self._buried) > _BURIED:
            self._buried.popitem(last=False)
        last = old.object()
        self.buried(last)
        self.changed(last, None)

    def _unindex(self, key: Key, old: _Kept) -> None:
        for index, values in zip(self._by.values(), old.found_by, strict=True):
            for value in values:
                keys = index.get(value, set())
                keys.discard(key)
                if not keys:
                    index.pop(value, None)


def _version(item: Object) -> str:
    return str(item["metadata"].get("resourceVersion", ""))


def _newer(version: str, known: str) -> bool:
    try:  # Kubernetes' versions are numbers that grow (KEP-5504); those of another server are not compared
        return int(version) > int(known)
    except ValueError:
        return False
