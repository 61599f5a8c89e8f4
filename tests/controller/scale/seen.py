"""What watches of requests and Jobs show of many running requests: the order of starts, and how many run."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tunesmith_controller.api import Api
from tunesmith_controller.cache import Cache
from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import unfinished
from tunesmith_controller.reflector import Reflector
from tunesmith_controller.rights import JOBS, REQUESTS

ENDED = ("Succeeded", "Failed")


def begun(request: Object | None) -> bool:
    """Whether its status names a Job, which it does before the first one is made."""
    return any(row.get("job") for row in ((request or {}).get("status") or {}).get("stages") or ())


def phase(request: Object) -> str:
    return str((request.get("status") or {}).get("phase") or "Pending")


@dataclass
class Start:
    """The start of a request: how many its namespace runs then, and the others that have requests waiting."""

    at: float  # monotonic seconds
    own: int
    others: dict[str, int]
    made_good: float = float("inf")  # when no other namespace that waited was more than a turn behind

    def behind(self) -> int:
        """How many more requests the namespace runs than the last of the others: 1 is a turn."""
        return max((self.own - count for count in self.others.values()), default=0)


@dataclass
class Seen:
    """What was seen so far."""

    # Starts while other namespaces waited, by how far behind these then were.
    behind: Counter[int] = field(default_factory=Counter)
    longest_behind: float = 0.0  # seconds for which one was more than a turn behind
    most_jobs: int = 0  # live at once
    most_requests: int = 0  # running at once
    succeeded_at: list[float] = field(default_factory=list)  # monotonic seconds
    judging: bool = False  # set it when all requests are there: before, who comes first is served first
    _starts: list[Start] = field(default_factory=list)  # that are to be made good
    _waiting: Counter[str] = field(default_factory=Counter)  # by namespace
    _at_work: Counter[str] = field(default_factory=Counter)
    _live: set[str] = field(default_factory=set)  # uids of Jobs
    _phases: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, api: Api) -> None:
        """Looks on until the process ends."""
        requests, jobs = Cache(dict), Cache(_standing)
        requests.changed, jobs.changed = self.request_changed, self.job_changed
        watches = Reflector(api, REQUESTS, requests), Reflector(api, JOBS, jobs)
        for reflector in watches:
            reflector.start()
        for reflector in watches:
            assert reflector.synced.wait(30), f"{reflector.name} has not listed"

    def still_behind(self) -> list[Start]:
        """Starts that were never made good."""
        with self._lock:
            return list(self._starts)

    def phases(self) -> dict[str, int]:
        with self._lock:
            return {name: count for name, count in self._phases.items() if count}

    def job_changed(self, _before: Object | None, after: Object | None) -> None:
        if after is None:
            return
        with self._lock:
            (self._live.add if unfinished(after) else self._live.discard)(after["metadata"]["uid"])
            self.most_jobs = max(self.most_jobs, len(self._live))

    def request_changed(self, before: Object | None, after: Object | None) -> None:
        if after is None:
            return
        space = after["metadata"]["namespace"]
        with self._lock:
            self._phases[phase(after)] += 1
            if before is not None:
                self._phases[phase(before)] -= 1
            if before is None:
                self._waiting[space] += 1
            if begun(after) and not begun(before):
                self._started(space)
            if phase(after) in ENDED and (before is None or phase(before) not in ENDED):
                self._at_work[space] -= 1
                self.succeeded_at.append(time.monotonic())

    def _started(self, space: str) -> None:
        self._waiting[space] -= 1
        self._at_work[space] += 1
        self.most_requests = max(self.most_requests, self._at_work.total())
        now = time.monotonic()
        waiting = {name for name, count in self._waiting.items() if count > 0}
        for start in self._starts:
            start.others = {
                name: count + (name == space)
                for name, count in start.others.items()
                if name in waiting or name == space
            }
        if self.judging and waiting - {space}:
            start = Start(
                now, self._at_work[space], {name: self._at_work[name] for name in waiting - {space}}
            )
            self.behind[start.behind()] += 1
            self._starts.append(start)
        for start in self._starts:
            if start.behind() <= 1:
                start.made_good = now
                self.longest_behind = max(self.longest_behind, now - start.at)
        self._starts = [start for start in self._starts if start.made_good > now]


def _standing(job: dict[str, Any]) -> Object:
    return {"metadata": job["metadata"], "status": job.get("status", {})}
