"""Many requests on a real control plane with kwok's pods: how long they take, and what the controller does.

Two replicas with leader election; the requests are applied by users at once, one for each namespace. Counted
are the calls of the replica that leads, as its own metrics tell them.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from control_plane import ControlPlane
from controller.replicas import Replica, Replicas
from controller.scale.seen import Seen
from controller.shell import real

from benchmarks.controller.bare import Bare, bodies
from benchmarks.controller.fixtures import configuration, fake_nodes
from benchmarks.controller.process import calls_of, cpu_of, looks_of, memory_of, phases_of, writes
from benchmarks.controller.users import Users

STAGES = 4
WRITTEN = 5.0  # seconds within which what was decided is written: so long a namespace may seem behind
SECONDS = 5.0  # that each pod runs


@dataclass(frozen=True)
class Load:
    """Requests in so many namespaces, and how many may work at once; 0: all."""

    requests: int
    namespaces: int
    limit: int


@dataclass(frozen=True)
class Results:
    """What was seen of one load."""

    load: Load
    phases: Counter[str]  # at the end
    seen: Seen  # of a load with a limit: what watches cost would count against the controller otherwise
    seconds: float
    calls: Counter[tuple[str, str]]  # by verb and resource, without the lease's and those of the start
    looks: Counter[str]  # by result
    peak: float  # MiB of the leader
    standby: float  # MiB
    cpu: float  # seconds of the leader
    busy: float  # mean load of the machine over the run
    complaints: list[str]  # errors and warnings in the logs
    jobs: int

    @property
    def writes(self) -> int:
        """Calls that write."""
        return writes(self.calls)


def bare(plane: ControlPlane, load: Load) -> float:
    """Seconds that the same Jobs take without a controller."""
    nodes = fake_nodes(plane, SECONDS)
    try:
        spaces = [plane.namespace() for _ in range(load.namespaces)]
        jobs = bodies({"training.device": "cpu"})
        return Bare(plane, jobs, load.limit).run(spaces, load.requests // load.namespaces)
    finally:
        nodes.stop()


def complaints(replicas: Replicas) -> Iterator[str]:
    """Errors and warnings in the logs."""
    for replica in replicas.all:
        for level in ("error", "warning"):
            yield from (f"{level}: {line}" for line in replica.logged(level))


def measure(plane: ControlPlane, folder: Path, load: Load, flags: list[str]) -> Results:
    """One run, to the last request."""
    requests, namespaces = load.requests, load.namespaces
    real.install(plane)
    nodes = fake_nodes(plane, SECONDS)
    seen, replicas = Seen(), Replicas(plane, folder)
    if load.limit:
        seen.watch(real.real_api(plane))
    path = configuration(folder, load.limit)
    try:
        pair = [replicas.start(f"--config={path}", *flags) for _ in range(2)]
        real.until("one leads", lambda: sum(replica.metric("tunesmith_leader") for replica in pair) == 1)
        leader = max(pair, key=lambda replica: replica.metric("tunesmith_leader"))
        spaces = [plane.namespace() for _ in range(namespaces)]
        idle, begun, loads = calls_of(leader), time.monotonic(), [os.getloadavg()[0]]
        Users(plane).create_all(spaces, requests // namespaces)
        seen.judging = True
        print(f"all applied after {time.monotonic() - begun:.0f} s", flush=True)
        while (phases := phases_of(leader)) != {"Succeeded": requests}:
            if time.monotonic() - begun > 3600 or "Failed" in phases or leader.process.poll() is not None:
                break
            time.sleep(2)
            loads.append(os.getloadavg()[0])
            if len(loads) % 10 == 0:
                print(f"{time.monotonic() - begun:.0f} s: {dict(phases)}, load {loads[-1]:.1f}", flush=True)
        seconds = time.monotonic() - begun
        real.until("the last Events are written", lambda: _still(leader), 120)
        return Results(
            load=load,
            phases=phases,
            seen=seen,
            seconds=seconds,
            calls=calls_of(leader) - idle,
            looks=looks_of(leader),
            peak=memory_of(leader)[1],
            standby=min(memory_of(replica)[1] for replica in pair),
            cpu=cpu_of(leader),
            busy=sum(loads) / len(loads),
            complaints=list(complaints(replicas)),
            jobs=sum(len(real.listed(plane, space, "jobs")) for space in spaces),
        )
    finally:
        replicas.stop()
        nodes.stop()


def _still(leader: Replica) -> bool:
    before = calls_of(leader)
    time.sleep(3)
    return calls_of(leader) == before


def wrong(results: Results) -> list[str]:
    """What is not as it should be, as sentences."""
    seen, load = results.seen, results.load
    behind = "a namespace was more than one turn behind for"
    checks = {
        f"not all Succeeded: {results.phases}": results.phases == {"Succeeded": load.requests},
        f"{results.jobs} Jobs for {load.requests * STAGES} stages": results.jobs == load.requests * STAGES,
        f"{seen.most_jobs} Jobs at once, limit {load.limit}": not load.limit or seen.most_jobs <= load.limit,
        f"{behind} {seen.longest_behind:.1f} s": not load.limit or seen.longest_behind < WRITTEN,
        f"a namespace stayed more than one turn behind: {seen.still_behind()}": not load.limit
        or not seen.still_behind(),
        **dict.fromkeys(results.complaints, False),
    }
    return [problem for problem, holds in checks.items() if not holds]
