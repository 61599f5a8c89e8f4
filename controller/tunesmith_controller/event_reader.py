"""Reads the Events about Jobs and pods that make no progress.

Only they tell that a quota is used up or a volume is missing.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tunesmith_controller.api import Api, ApiError, Call, Unreachable
from tunesmith_controller.decide.model import Event, Object
from tunesmith_controller.decide.objects import (
    created,
    node_of,
    owner_uids,
    phase_of,
    status_of,
    terminating,
    uid_of,
    unfinished,
)
from tunesmith_controller.rate import TokenBucket
from tunesmith_controller.rights import EVENTS

JOB_WITHOUT_POD = 5.0  # seconds after which the Events about a Job without a pod are read
POD_NOT_STARTED = 20.0
ASK_AGAIN = (15.0, 60.0)  # least and most seconds between two reads about one object
LOOKS_PER_SECOND = 5.0  # at most, over all requests
KEPT = 10  # Events of an object, the newest


@dataclass(frozen=True)
class Stuck:
    """An object that makes no progress, and for how many seconds."""

    uid: str
    seconds: float


def stuck(jobs: Sequence[Object], pods: Sequence[Object], now: datetime) -> tuple[list[Stuck], float | None]:
    """Objects whose Events are worth reading now, and the seconds after which there may be more. Pure."""
    objects: list[Stuck] = []
    waits: list[float] = []
    for uid, age, patience in _suspects(jobs, pods, now):
        if age >= patience:
            objects.append(Stuck(uid, age))
            waits.append(_interval(age))
        else:
            waits.append(patience - age + 0.1)
    return objects, min(waits, default=None)


def _interval(seconds: float) -> float:
    """Seconds between two reads about an object: half of the time that it has been stuck, within limits."""
    least, most = ASK_AGAIN
    return min(max(seconds / 2, least), most)


def _suspects(
    jobs: Sequence[Object], pods: Sequence[Object], now: datetime
) -> Iterator[tuple[str, float, float]]:
    """Objects that may be stuck: uid, age, and the age from which they count as stuck."""
    with_pods = {uid for pod in pods for uid in owner_uids(pod)}
    for job in jobs:
        waits = job.get("spec", {}).get("suspend") or terminating(job)
        if unfinished(job) and not waits and uid_of(job) not in with_pods:
            started = status_of(job).get("startTime") or created(job)
            yield uid_of(job), _age(started, now), JOB_WITHOUT_POD
    for pod in pods:
        # Once a scheduler has seen a pod, the condition PodScheduled says why it has no node.
        unseen = not node_of(pod) and not status_of(pod).get("conditions")
        if (node_of(pod) or unseen) and phase_of(pod) == "Pending":
            yield uid_of(pod), _age(created(pod), now), POD_NOT_STARTED


class EventReader:
    """Reads the Events about stuck objects, within a rate; in between it returns those that it read last."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._bucket = TokenBucket(LOOKS_PER_SECOND, 2 * LOOKS_PER_SECOND, clock)
        self._known: dict[str, tuple[float, tuple[Event, ...]]] = {}  # by uid, with when they were read
        self._lock = threading.Lock()

    def events(self, namespace: str, objects: Sequence[Stuck]) -> Mapping[str, Sequence[Event]]:
        """Events by uid. What cannot be read now is left out: the next look has it."""
        events = {item.uid: self._of(namespace, item) for item in objects}
        return {uid: about for uid, about in events.items() if about}

    def _of(self, namespace: str, item: Stuck) -> tuple[Event, ...]:
        with self._lock:
            read, known = self._known.get(item.uid, (float("-inf"), ()))
        is_fresh = self._clock() - read < _interval(item.seconds) - 1
        if is_fresh or not self._bucket.try_take():
            return known
        query = {"fieldSelector": f"involvedObject.uid={item.uid}", "limit": "100"}
        try:
            answer = self._api.send(Call("list", EVENTS, namespace, query=query))
        except (ApiError, Unreachable):
            return known
        newest = sorted(answer.get("items") or (), key=_when)[-KEPT:]
        events = tuple(Event(entry.get("reason") or "", entry.get("message") or "") for entry in newest)
        self._remember(item.uid, events)
        return events

    def _remember(self, uid: str, events: tuple[Event, ...]) -> None:
        now = self._clock()
        with self._lock:
            self._known[uid] = (now, events)
            old = [other for other, (at, _) in self._known.items() if now - at > 10 * ASK_AGAIN[1]]
            for other in old:
                del self._known[other]


def _when(event: Object) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )


def _age(moment: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(moment)).total_seconds()
