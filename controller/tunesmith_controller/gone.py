"""The last states of Jobs and pods that were deleted before the status of their request told their end.

A policy may delete them as soon as they have ended, and by the next look there would be nothing left to see.
"""

import threading
from collections import OrderedDict

from tunesmith.wire import KEY, STAGE
from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import (
    attempt_of,
    label,
    name_of,
    namespace_of,
    status_of,
    terminated,
    uid_of,
)

MOST = 1024  # requests of which something is kept
EACH = 16  # Jobs, or pods, of one request, the newest


class LastStates:
    """Last states of Jobs, or of pods. Threads share one."""

    def __init__(self) -> None:
        # By namespace and name of the request, then by uid.
        self._of: OrderedDict[tuple[str, str], dict[str, Object]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, request: Object, last: Object) -> None:
        """Keeps what is gone, unless it is told already, or is a pod whose container had not ended."""
        if is_told(request, last) or (last.get("kind") == "Pod" and not terminated(last)):
            return
        with self._lock:
            known = self._of.setdefault(_key(request), {})
            known[uid_of(last)] = last
            for uid in list(known)[:-EACH]:
                del known[uid]
            self._of.move_to_end(_key(request))
            while len(self._of) > MOST:
                self._of.popitem(last=False)

    def of(self, request: Object) -> list[Object]:
        """Those of a request, in the order in which they went. What its status tells by now is forgotten."""
        with self._lock:
            known = self._of.get(_key(request), {})
            for uid in [uid for uid, last in known.items() if is_told(request, last)]:
                del known[uid]
            if not known:
                self._of.pop(_key(request), None)
            return list(known.values())


def is_told(request: Object, item: Object) -> bool:
    """Whether the status of a request tells how a Job or pod ended, or is beyond that attempt. Pure."""
    key = (label(item, STAGE), label(item, KEY))
    rows = status_of(request).get("stages") or ()
    row = next((row for row in rows if (row.get("name"), row.get("key")) == key), None)
    if row is None:
        return bool(rows)
    return row.get("phase") in ("Succeeded", "Failed") or attempt_of(item) < (row.get("attempt") or 0)


def _key(request: Object) -> tuple[str, str]:
    return namespace_of(request), name_of(request)
