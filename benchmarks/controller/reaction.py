"""How long after a Job's end the next one is made, while a thousand requests live and Jobs end one by one.

Both are taken as a watch shows them, so the API server's own time is in it.
"""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from control_plane import ControlPlane
from controller.shell import real
from controller.shell.test_process import Replicas
from kwok import Behaviour, FakeNodes, node

from benchmarks.controller.throughput import config
from benchmarks.controller.users import Users
from tunesmith.wire import MANAGED_BY, MANAGER, REQUEST, STAGE
from tunesmith_controller.api import Call, Timeout
from tunesmith_controller.rights import JOBS

LEAST, MOST = 40.0, 200.0  # seconds that a pod runs, drawn for each: 1,000 of them end at some 8 a second
SECONDS = 240.0  # of watching


def measure(plane: ControlPlane, folder: Path, requests: int, namespaces: int) -> list[float]:
    """Seconds from each Job's end to the next Job of its request, sorted."""
    real.install(plane)
    plane.kubectl("create", "-f", "-", stdin=json.dumps(node()))
    nodes, replicas = FakeNodes(plane), Replicas(plane, folder)
    nodes.start((Behaviour(seconds=LEAST, up_to=MOST),))
    path = folder / "unlimited.yaml"
    path.write_text(config(0))
    seconds: list[float] = []
    try:
        replica = replicas.start(f"--config={path}")
        real.until("it leads", lambda: replica.metric("tunesmith_leader") == 1)
        threading.Thread(target=_watch, args=(plane, seconds), daemon=True).start()
        Users(plane).create_all([plane.namespace() for _ in range(namespaces)], requests // namespaces)
        time.sleep(LEAST)  # the first ones end
        seconds.clear()
        time.sleep(SECONDS)
        return sorted(seconds)
    finally:
        for replica in replicas.all:
            replica.stop()
        nodes.stop()


def _watch(plane: ControlPlane, seconds: list[float]) -> None:
    ended: dict[tuple[str, str], float] = {}  # request -> when its latest Job was seen to end
    stages: set[tuple[str, str, str]] = set()
    for job in _changes(plane):
        metadata, now = job["metadata"], time.monotonic()
        request = (metadata["namespace"], metadata["labels"][REQUEST])
        stage = (*request, metadata["labels"][STAGE])
        if stage not in stages:
            stages.add(stage)
            if request in ended:
                seconds.append(now - ended.pop(request))
        elif any(one["type"] == "Complete" for one in job.get("status", {}).get("conditions", ())):
            ended.setdefault(request, now)


def _changes(plane: ControlPlane) -> Iterator[dict[str, Any]]:
    query = {"watch": "1", "labelSelector": f"{MANAGED_BY}={MANAGER}", "timeoutSeconds": "3600"}
    for line in real.real_api(plane).lines(Call("watch", JOBS, query=query), Timeout(read=3600)):
        yield json.loads(line)["object"]
