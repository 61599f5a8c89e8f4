"""A cluster with thousands of live and of finished requests: the controller's start, and its idle life.

Then a hundred requests of the largest size come.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_plane import ControlPlane
from controller.replicas import Replica, Replicas
from controller.shell import real
from kwok import Behaviour

from benchmarks.controller.copies import copies, original, put
from benchmarks.controller.fixtures import configuration, fake_nodes
from benchmarks.controller.process import calls_of, cpu_of, memory_of, writes
from benchmarks.controller.users import Users

LIMIT = 100
NAMESPACES = 500
SETTLED = 5.0  # seconds without a call
IDLE = 120.0  # seconds over which an idle controller is measured
LARGEST = 590_000  # bytes of a spec; 600,000 are accepted


@dataclass(frozen=True)
class Standing:
    """What was seen of a controller with many requests."""

    live: int
    finished: int
    objects: int
    ready: float  # seconds from its start to readyz
    leads: float  # seconds from its start to its first look
    memory: float  # MiB, once it is idle
    peak: float
    cpu: float  # share of a core, idle
    writes: int  # while idle
    reads: int
    largest: int  # requests of the largest size that were added then
    added: float  # MiB that they took


def measure(plane: ControlPlane, folder: Path, live: int, finished: int, largest: int) -> Standing:
    """One replica, started with all of them there."""
    config = configuration(folder, LIMIT)
    real.install(plane)
    nodes, replicas = fake_nodes(plane, 1.0), Replicas(plane, folder)
    space = plane.namespace()
    first = replicas.start(f"--config={config}")
    users = Users(plane)
    users.create(space, "original-done")
    real.until("one is done", lambda: _phase(users, space, "original-done") == "Succeeded", 120)
    nodes.start((Behaviour(seconds=100_000.0),))
    users.create(space, "original-runs")
    real.until("one runs", lambda: _phase(users, space, "original-runs") == "Running", 60)
    for number in range(LIMIT - 1):
        users.create(space, f"holds-{number}")
    at_work = ("Pending", "Running")
    real.until(
        "all places are taken",
        lambda: sum(phase in at_work for _, phase, _ in users.phases(space)) == LIMIT,
        120,
    )
    users.create(space, "original-waits")
    real.until("one waits", lambda: _phase(users, space, "original-waits") == "Queued", 120)
    first.stop()
    nodes.stop()
    plane.stop_controllers()
    objects = 0
    for name, count in (("done", finished), ("waits", live - LIMIT - 1)):
        source = original(plane, space, f"original-{name}")
        names = [(f"team-{number % NAMESPACES}", f"{name}-{number:05}") for number in range(count)]
        objects += put(plane, copies(source, names))
    try:
        return _started(plane, replicas, config, (live, finished, objects), largest)
    finally:
        replicas.stop()


def _started(
    plane: ControlPlane, replicas: Replicas, config: Path, counts: tuple[int, int, int], largest: int
) -> Standing:
    begun = time.monotonic()
    replica = replicas.start(f"--config={config}")
    real.until("it is ready", lambda: replica.get("/readyz")[0] == 200, 120)
    ready = time.monotonic() - begun
    real.until("it leads", lambda: replica.metric("tunesmith_reconcile_total") > 0, 120)
    leads = time.monotonic() - begun
    _settle(replica)
    before, cpu, since = calls_of(replica), cpu_of(replica), time.monotonic()
    time.sleep(IDLE)
    calls, seconds = calls_of(replica) - before, time.monotonic() - since
    share = (cpu_of(replica) - cpu) / seconds
    memory, peak = memory_of(replica)
    added = _add_largest(plane, replica, largest, memory)
    written = writes(calls)
    return Standing(
        *counts, ready, leads, memory, peak, share, written, calls.total() - written, largest, added
    )


def _add_largest(plane: ControlPlane, replica: Replica, count: int, before: float) -> float:
    """MiB that requests of the largest size take."""
    plane.kubectl("create", "namespace", "largest")
    users = Users(plane)
    for number in range(count):
        users.create("largest", f"large-{number}", **_largest())
    _settle(replica)
    now, _ = memory_of(replica)
    return now - before


def _largest() -> dict[str, Any]:
    """A spec of the largest size, of random text, so that nothing that is kept of it could be made small."""
    text = os.urandom(LARGEST // 2).hex()
    notes = {f"note{number}": text[2000 * number :][:2000] for number in range(LARGEST // 2000)}
    return {"evaluation": {"format": {"jsonSchema": notes}}}


def _settle(replica: Replica) -> None:
    """Waits until it makes no call for a while."""
    real.until("it is idle", lambda: _still(replica), 900)


def _still(replica: Replica) -> bool:
    before = calls_of(replica)
    time.sleep(SETTLED)
    return writes(calls_of(replica) - before) == 0 and replica.metric("tunesmith_queue_depth") == 0


def _phase(users: Users, space: str, name: str) -> str:
    return str(users.status(space, name).get("phase"))
