"""The cache of one kind of object, with indexes.

Threads share one; its objects are only ever replaced as a whole.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import uid_of

Key = tuple[str, str]  # namespace, name
Index = Callable[[Object], Iterable[str]]
Changed = Callable[[Object | None, Object | None], None]  # before, after; None: not there
_BURIED = 4096  # uids of deleted objects, which a late answer to a write must not bring back


def key_of(item: Object) -> Key:
    """Namespace and name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


class Cache:
    """Objects by key, and by each index. `trim` cuts an object down to what is read, before it is kept.

    `changed` is told of every change, `buried` of the last state of each object that is gone.
    """

    def __init__(
        self, trim: Callable[[dict[str, Any]], Object], indexes: Mapping[str, Index] | None = None
    ) -> None:
        self._trim = trim
        self._indexes = dict(indexes or {})
        self._objects: dict[Key, Object] = {}
        self._by: dict[str, dict[str, set[Key]]] = {name: {} for name in self._indexes}
        self._buried: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.RLock()
        self.changed: Changed = lambda _before, _after: None
        self.buried: Callable[[Object], None] = lambda _last: None

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> Object | None:
        """The object of a key."""
        with self._lock:
            return self._objects.get(key)

    def all(self) -> list[Object]:
        """Every object."""
        with self._lock:
            return list(self._objects.values())

    def by(self, index: str, value: str) -> list[Object]:
        """The objects that an index has under a value, by name."""
        with self._lock:
            return [self._objects[key] for key in sorted(self._by[index].get(value, ()))]

    def put(self, item: dict[str, Any]) -> None:
        """Takes an object from a list, whatever was known: a restored server has lower versions."""
        with self._lock:
            self._replace(key_of(item), self._trim(item))

    def put_event(self, item: dict[str, Any]) -> None:
        """Takes an object from the watch, unless the answer to a write was newer.

        Otherwise the next write would be a conflict.
        """
        with self._lock:
            known = self._objects.get(key_of(item))
            if known is not None and uid_of(known) == uid_of(item) and _newer(known, item):
                self.changed(known, known)  # nobody was told of what the answer brought
                return
            self._replace(key_of(item), self._trim(item))

    def put_answer(self, item: dict[str, Any], *, tell: bool = False) -> None:
        """Takes the answer to a call, if it is newer than what is known and the object is not gone.

        `tell`: it may be news.
        """
        with self._lock:
            known = self._objects.get(key_of(item))
            if item["metadata"]["uid"] in self._buried or (known is not None and not _newer(item, known)):
                return
            self._replace(key_of(item), self._trim(item), tell=tell)

    def remove(self, item: Object) -> None:
        """Drops an object that is gone, as the watch says."""
        with self._lock:
            self._bury(key_of(item))

    def keep_only(self, namespace: str, keys: Collection[Key]) -> None:
        """Drops the objects that a list lacks. `namespace`: the one that was listed; empty for all."""
        with self._lock:
            for key in [key for key in self._objects if key not in keys and namespace in ("", key[0])]:
                self._bury(key)

    def _replace(self, key: Key, new: Object, *, tell: bool = True) -> None:
        old = self._objects.get(key)
        if old is not None and _version(old) == _version(new):
            return
        if old is not None and uid_of(old) != uid_of(new):
            self._bury(key)  # deleted and created again while nobody looked
            old = None
        if old is not None:
            self._unindex(key, old)
        self._objects[key] = new
        for name, index in self._indexes.items():
            for value in index(new):
                self._by[name].setdefault(value, set()).add(key)
        if tell:
            self.changed(old, new)

    def _bury(self, key: Key) -> None:
        old = self._objects.pop(key, None)
        if old is None:
            return
        self._unindex(key, old)
        self._buried[old["metadata"]["uid"]] = None
        if len(self._buried) > _BURIED:
            self._buried.popitem(last=False)
        self.buried(old)
        self.changed(old, None)

    def _unindex(self, key: Key, old: Object) -> None:
        for name, index in self._indexes.items():
            for value in index(old):
                keys = self._by[name].get(value, set())
                keys.discard(key)
                if not keys:
                    self._by[name].pop(value, None)


def _version(item: Object) -> str:
    return str(item["metadata"].get("resourceVersion", ""))


def _newer(item: Object, known: Object) -> bool:
    try:  # Kubernetes' versions are numbers that grow (KEP-5504); those of another server are not compared
        return int(_version(item)) > int(_version(known))
    except ValueError:
        return False
