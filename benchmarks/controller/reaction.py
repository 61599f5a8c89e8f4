"""How long after a Job's end the next one is made, while a thousand requests live and Jobs end one by one.

Both are taken as a watch shows them, so the API server's own time is in it.
"""

import threading
import time
from pathlib import Path

from control_plane import ControlPlane
from controller.replicas import Replicas
from controller.shell import real

from benchmarks.controller.fixtures import configuration, fake_nodes, is_complete, job_changes
from benchmarks.controller.users import Users
from tunesmith.wire import REQUEST, STAGE

LEAST, MOST = 40.0, 200.0  # seconds that a pod runs, drawn for each: 1,000 of them end at some 8 a second
SECONDS = 240.0  # of watching


def measure(plane: ControlPlane, folder: Path, requests: int, namespaces: int) -> list[float]:
    """Seconds from each Job's end to the next Job of its request, sorted."""
    real.install(plane)
    nodes, replicas = fake_nodes(plane, LEAST, MOST), Replicas(plane, folder)
    seconds: list[float] = []
    try:
        replica = replicas.start(f"--config={configuration(folder, 0)}")
        real.until("it leads", lambda: replica.metric("tunesmith_leader") == 1)
        threading.Thread(target=_watch, args=(plane, seconds), daemon=True).start()
        Users(plane).create_all([plane.namespace() for _ in range(namespaces)], requests // namespaces)
        time.sleep(LEAST)  # the first ones end
        seconds.clear()
        time.sleep(SECONDS)
        return sorted(seconds)
    finally:
        replicas.stop()
        nodes.stop()


def _watch(plane: ControlPlane, seconds: list[float]) -> None:
    ended: dict[tuple[str, str], float] = {}  # request -> when its latest Job was seen to end
    stages: set[tuple[str, str, str]] = set()
    for job in job_changes(plane):
        metadata, now = job["metadata"], time.monotonic()
        request = (metadata["namespace"], metadata["labels"][REQUEST])
        stage = (*request, metadata["labels"][STAGE])
        if stage not in stages:
            stages.add(stage)
            if request in ended:
                seconds.append(now - ended.pop(request))
        elif is_complete(job):
            ended.setdefault(request, now)
