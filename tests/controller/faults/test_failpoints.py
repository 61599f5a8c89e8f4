"""The controller dies at a write, at each kind of them; the next one carries on, and nothing runs twice."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from control_plane import ControlPlane
from controller.faults import failing_controller
from controller.replicas import Replica, Replicas
from controller.shell import real

STAGES = ("generate", "train", "merge", "evaluate")
# A request that runs undisturbed makes six writes of its status, four Jobs, one snapshot and one Event.
FAULTS = [
    *(f"{when}:create:configmaps:1" for when in ("before", "after")),
    *(f"after:patch:trainingrequests/status:{number}" for number in range(1, 7)),
    *(f"before:patch:trainingrequests/status:{number}" for number in (1, 3, 6)),
    *(f"{when}:create:jobs:{number}" for when in ("before", "after") for number in (1, 2, 4)),
    "after:create:events:1",
]


def start(replicas: Replicas, namespace: str, *faults: str) -> Replica:
    """A controller of one namespace, without a lease."""
    folder = replicas.folder / namespace
    folder.mkdir(exist_ok=True)
    program = (failing_controller.__file__, *faults, "--")
    flags = (f"--namespaces={namespace}", "--no-leader-election")
    replica = Replica(replicas.plane, folder, *flags, program=program)
    replicas.all.append(replica)
    return replica


def test_it_dies_at_each_kind_of_write_and_nothing_is_lost_or_done_twice(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    spaces = {fault: control_plane.namespace() for fault in FAULTS}

    def run(fault: str) -> list[str]:
        namespace = spaces[fault]
        real.apply(control_plane, namespace, "riddles")
        died = start(replicas, namespace, fault).process.wait(120)
        second = start(replicas, namespace)
        real.until(f"{fault}: the request ends", lambda: phase(control_plane, namespace) == "Succeeded", 120)
        second.stop()
        return [f"{fault}: {problem}" for problem in problems(control_plane, namespace, died, second)]

    with ThreadPoolExecutor(3) as runs:
        wrong = [problem for found in runs.map(run, FAULTS) for problem in found]
    assert wrong == []


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_controller_whose_clock_is_an_hour_off_ends_nothing_too_early(
    replicas: Replicas, control_plane: ControlPlane, seconds: int
) -> None:
    namespace = control_plane.namespace()
    deadlines = {stage: {"activeDeadlineSeconds": 600} for stage in STAGES}
    real.apply(control_plane, namespace, "riddles", stages=deadlines, ttlSecondsAfterFinished=600)
    replica = start(replicas, namespace, f"clock:{seconds}")
    real.until("the request ends", lambda: phase(control_plane, namespace) in ("Succeeded", "Failed"), 120)
    status = real.get(control_plane, namespace, "treq", "riddles")["status"]
    assert status["phase"] == "Succeeded", status["message"]
    assert jobs(control_plane, namespace) == dict.fromkeys(STAGES, 1), "they are kept for ten minutes"
    warnings = [line["message"] for line in replica.logged("warning")]
    assert len(warnings) == 1, "it says so once"
    assert "behind the API server's" in warnings[0]


def phase(plane: ControlPlane, namespace: str) -> str:
    return str((real.get(plane, namespace, "treq", "riddles").get("status") or {}).get("phase"))


def jobs(plane: ControlPlane, namespace: str) -> Counter[str]:
    return Counter(
        job["metadata"]["labels"]["tunesmith.dev/stage"] for job in real.listed(plane, namespace, "jobs")
    )


def problems(plane: ControlPlane, namespace: str, died: int, second: Replica) -> Iterator[str]:
    """What is not as it should be after a run whose first controller died."""
    if died != failing_controller.DIED:
        yield f"the first controller ended with {died}"
    if jobs(plane, namespace) != dict.fromkeys(STAGES, 1):
        yield f"Jobs: {jobs(plane, namespace)}"
    if len(real.listed(plane, namespace, "configmaps")) != 2:  # with the cluster's own certificate
        yield "not one snapshot"
    attempts = [row["attempt"] for row in real.get(plane, namespace, "treq", "riddles")["status"]["stages"]]
    if attempts != [1] * len(STAGES):
        yield f"attempts: {attempts}"
    for level in ("error", "warning"):
        yield from map(str, second.logged(level))
