"""Events about Jobs and pods that do not get on. They alone say that a quota is used up or that a volume is missing."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tunesmith_controller.api import Api, ApiError, Call, Unreachable
from tunesmith_controller.decide.model import Event, Object
from tunesmith_controller.decide.objects import unfinished
from tunesmith_controller.rate import TokenBucket
from tunesmith_controller.rights import EVENTS

JOB_WITHOUT_POD = 5.0  # seconds until we ask why
POD_NOT_STARTED = 20.0
ASK_AGAIN = (
    15.0,
    60.0,
)  # seconds between two looks at the same object: half of how long it has been stuck, within these
LOOKS_PER_SECOND = 5.0  # at most, over all requests
KEPT = 10  # events of an object, the newest


@dataclass(frozen=True)
class Stuck:
    """An object that does not get on, and for how many seconds."""

    uid: str
    seconds: float


def stuck(jobs: Sequence[Object], pods: Sequence[Object], now: datetime) -> tuple[list[Stuck], float | None]:
    """Objects whose events are worth reading now, and the seconds after which there may be more. Pure."""
    found, again = [], None
    for uid, age, least in _suspects(jobs, pods, now):
        if age >= least:
            found.append(Stuck(uid, age))
            wait = min(max(age / 2, ASK_AGAIN[0]), ASK_AGAIN[1])
        else:
            wait = least - age + 0.1
        again = wait if again is None else min(again, wait)
    return found, again


def _suspects(
    jobs: Sequence[Object], pods: Sequence[Object], now: datetime
) -> Iterator[tuple[str, float, float]]:
    with_pods = {owner["uid"] for pod in pods for owner in pod["metadata"].get("ownerReferences", ())}
    for job in jobs:
        metadata = job["metadata"]
        waits = job.get("spec", {}).get("suspend") or "deletionTimestamp" in metadata
        if unfinished(job) and not waits and metadata["uid"] not in with_pods:
            yield (
                metadata["uid"],
                _age(job.get("status", {}).get("startTime") or metadata["creationTimestamp"], now),
                JOB_WITHOUT_POD,
            )
    for pod in pods:
        # a pod without a node says why in its own condition PodScheduled
        if pod.get("spec", {}).get("nodeName") and pod.get("status", {}).get("phase") == "Pending":
            yield pod["metadata"]["uid"], _age(pod["metadata"]["creationTimestamp"], now), POD_NOT_STARTED


class EventReader:
    """Reads the events of what is stuck, within a rate; in between it gives what it read last."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock = api, clock
        self._bucket = TokenBucket(LOOKS_PER_SECOND, 2 * LOOKS_PER_SECOND, clock)
        self._known: dict[str, tuple[float, tuple[Event, ...]]] = {}
        self._lock = threading.Lock()

    def events(self, namespace: str, objects: Sequence[Stuck]) -> Mapping[str, Sequence[Event]]:
        """Events by uid. What cannot be read for now is left out: the next look has it."""
        return {item.uid: events for item in objects if (events := self._of(namespace, item))}

    def _of(self, namespace: str, item: Stuck) -> tuple[Event, ...]:
        with self._lock:
            read, known = self._known.get(item.uid, (float("-inf"), ()))
        if (
            self._clock() - read < min(max(item.seconds / 2, ASK_AGAIN[0]), ASK_AGAIN[1]) - 1
            or not self._bucket.try_take()
        ):
            return known
        try:
            found = self._api.send(
                Call(
                    "list",
                    EVENTS,
                    namespace,
                    query={"fieldSelector": f"involvedObject.uid={item.uid}", "limit": "100"},
                )
            )
        except (ApiError, Unreachable):
            return known
        items = sorted(found.get("items") or (), key=_when)
        events = tuple(
            Event(entry.get("reason") or "", entry.get("message") or "") for entry in items[-KEPT:]
        )
        with self._lock:
            self._known[item.uid] = (self._clock(), events)
            for uid in [
                uid for uid, (at, _) in self._known.items() if self._clock() - at > 10 * ASK_AGAIN[1]
            ]:
                del self._known[uid]
        return events


def _when(event: Object) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )


def _age(created: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(created)).total_seconds()
