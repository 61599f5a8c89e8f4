"""The same Jobs, four deep, without a controller: the least that a cluster needs for them.

One watch, a pool of threads, no status, no Events, nothing kept: what this script needs for its Jobs is what
the controller is measured against.
"""

import json
import queue
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from control_plane import ControlPlane
from controller.shell import real
from reconcile_steps import look, play, stage_done

from benchmarks.controller.fixtures import is_complete, job_changes
from tunesmith_controller.api import Api, Call
from tunesmith_controller.rights import JOBS

WORKERS = 8
_OWN = "bench.tunesmith.dev/request"  # label: which of the requests a Job is of


def bodies(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The Jobs of a request as the controller makes them, in their order, without owner and name."""
    cluster, _ = play([look, [stage_done() for _ in range(4)]], spec=spec)
    made = []
    for job in cluster.kept["job"].values():
        metadata = {name: job["metadata"][name] for name in ("labels", "annotations")}
        made.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job["spec"]})
    return made


class Bare:
    """Runs Jobs one after another for many requests, as many at once as the limit allows (0: all)."""

    def __init__(self, plane: ControlPlane, jobs: list[dict[str, Any]], limit: int) -> None:
        self._plane = plane
        self._api: Api = real.real_api(plane)
        self._jobs = [json.dumps(job) for job in jobs]
        self._limit = limit
        self._waiting: deque[tuple[str, str]] = deque()
        self._ready: queue.SimpleQueue[tuple[str, str, int]] = queue.SimpleQueue()
        self._left = 0
        self._done = threading.Event()

    def run(self, spaces: list[str], each: int) -> float:
        """Seconds from the first Job's creation to the last one's end."""
        self._waiting.extend((space, f"r{number}") for number in range(each) for space in spaces)
        self._left = len(self._waiting)
        threading.Thread(target=self._watch, daemon=True).start()
        time.sleep(1)  # the watch is open
        begun = time.monotonic()
        for _ in range(self._limit or self._left):
            self._next()
        with ThreadPoolExecutor(WORKERS) as workers:
            for _ in range(WORKERS):
                workers.submit(self._work)
            self._done.wait()
            seconds = time.monotonic() - begun
            for _ in range(WORKERS):
                self._ready.put(("", "", 0))
        return seconds

    def _next(self) -> None:
        if self._waiting:
            self._ready.put((*self._waiting.popleft(), 0))

    def _work(self) -> None:
        while (ready := self._ready.get())[0]:
            space, name, stage = ready
            job = json.loads(self._jobs[stage])
            job["metadata"] |= {"name": f"{name}-{stage}", "namespace": space}
            job["metadata"]["labels"] |= {_OWN: f"{name}.{stage}"}
            self._api.send(Call("create", JOBS, space, body=job))

    def _watch(self) -> None:
        seen: set[str] = set()
        for job in job_changes(self._plane):
            if not is_complete(job) or job["metadata"]["uid"] in seen:
                continue
            seen.add(job["metadata"]["uid"])
            name, _, stage = job["metadata"]["labels"][_OWN].partition(".")
            if int(stage) + 1 < len(self._jobs):
                self._ready.put((job["metadata"]["namespace"], name, int(stage) + 1))
                continue
            self._left -= 1
            self._next()
            if not self._left:
                return self._done.set()
        return None
