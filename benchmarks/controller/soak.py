"""Hours of requests while the controller's connections are cut each minute: it must not grow, nor miss any.

    PYTHONPATH=tests python -m benchmarks.controller.soak [--minutes 120] [--hourly 200]

Requests come one by one and are deleted when they have expired, so that as many are there at the end as after
the warm-up. Prints a line each minute; exits with 1 if memory has grown by more than 2 %, or if anything was
missed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from control_plane import ControlPlane, running
from controller.replicas import Replica, Replicas
from controller.shell import real
from proxy import Relay

from benchmarks.controller.fixtures import configuration, fake_nodes
from benchmarks.controller.process import memory_of
from benchmarks.controller.users import Users

MOST_GROWTH = 0.02
WARM_UP = 0.25  # share of the time
KEPT = 300  # seconds for which a finished request is kept
LONGEST = 120.0  # seconds in which a request of four short stages ends, connections cut or not


@dataclass
class Seen:
    """What was seen so far. `memory`: MiB, each minute."""

    made: int = 0
    cut: int = 0
    ended: int = 0
    memory: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def growth(self) -> float:
        """How much more memory it has at the end than after the warm-up, as a share."""
        warm = self.memory[round(len(self.memory) * WARM_UP) :]
        part = max(1, len(warm) // 4)
        return statistics.median(warm[-part:]) / statistics.median(warm[:part]) - 1


def soak(plane: ControlPlane, folder: Path, minutes: int, hourly: int) -> Seen:
    """Runs for so many minutes."""
    real.install(plane)
    nodes, replicas, users, seen = fake_nodes(plane, 3.0), Replicas(plane, folder), Users(plane), Seen()
    host, _, port = plane.url.removeprefix("https://").partition(":")
    relay = Relay(host, int(port))
    through = folder / "kubeconfig"
    through.write_text(plane.kubeconfig.read_text().replace(plane.url, f"https://{host}:{relay.port}"))
    replica = replicas.start(f"--config={configuration(folder, 0)}", kubeconfig=through)
    space, begun = plane.namespace(), time.monotonic()
    try:
        for minute in range(minutes):
            _minute(users, space, seen, begun, minute, hourly)
            seen.cut += relay.cut()
            _look(users, replica, space, seen)
            print(
                f"{minute + 1} min: {seen.made} made, {seen.ended} ended, {seen.memory[-1]:.1f} MiB",
                flush=True,
            )
        time.sleep(LONGEST)
        _look(users, replica, space, seen)
        seen.wrong += [str(line) for line in replica.logged("error")]
        return seen
    finally:
        replicas.stop()
        relay.close()
        nodes.stop()


def _minute(users: Users, space: str, seen: Seen, begun: float, minute: int, hourly: int) -> None:
    """The requests of one minute, evenly spread. `begun`: when the first minute began."""
    while (elapsed := time.monotonic() - begun) < 60 * (minute + 1):
        if seen.made < elapsed * hourly / 3600:
            users.create(space, f"r{seen.made:05}", ttlSecondsAfterFinished=KEPT, deleteWhenExpired=True)
            seen.made += 1
        time.sleep(0.5)


def _look(users: Users, replica: Replica, space: str, seen: Seen) -> None:
    """Checks every request that should have ended by now, and the process."""
    now, _ = memory_of(replica)
    seen.memory.append(now)
    if replica.get("/healthz")[0] != 200:
        seen.wrong.append(replica.get("/healthz")[1])
    for name, phase, age in users.phases(space):
        if phase == "Failed" or (phase != "Succeeded" and age > LONGEST):
            seen.wrong.append(f"{name} is {phase} after {age:.0f} s")
    seen.ended = int(replica.metric("tunesmith_stage_duration_seconds_count")) // 4


def main() -> None:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--hourly", type=int, default=200, help="requests an hour")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as plane:
        seen = soak(plane, plane.folder, arguments.minutes, arguments.hourly)
    print(f"{seen.made} requests, {seen.cut} connections cut, memory {100 * seen.growth():+.1f} %")
    if seen.growth() > MOST_GROWTH:
        seen.wrong.append(f"memory has grown by {100 * seen.growth():.1f} %")
    if seen.ended < seen.made:
        seen.wrong.append(f"{seen.made - seen.ended} requests have not ended")
    if seen.wrong:
        sys.exit("\n".join(seen.wrong))


if __name__ == "__main__":
    main()
