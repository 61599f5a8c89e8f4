"""A leader that stands still for longer than its lease, as a machine that is suspended does."""

import signal
from collections import Counter

from control_plane import ControlPlane
from controller.replicas import Replicas
from controller.shell import real

STAGES = ("generate", "train", "merge", "evaluate")
COUNT = 5


def test_a_leader_that_wakes_after_its_lease_has_run_out_does_nothing_more(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    first = replicas.start()
    real.until("it leads", lambda: first.metric("tunesmith_leader") == 1)
    second, namespace = replicas.start(), control_plane.namespace()
    for number in range(COUNT):
        real.apply(control_plane, namespace, f"r{number}")
    real.until("some run", lambda: "Running" in real.phases(control_plane, namespace))
    first.process.send_signal(signal.SIGSTOP)
    real.until("the other one leads", lambda: second.metric("tunesmith_leader") == 1, 60)
    real.until("all end", lambda: real.phases(control_plane, namespace) == {"Succeeded"}, 120)
    first.process.send_signal(signal.SIGCONT)
    assert first.process.wait(30) == 1, "the lease is lost, and its pod starts anew"

    jobs = Counter(
        (job["metadata"]["labels"]["tunesmith.dev/request"], job["metadata"]["labels"]["tunesmith.dev/stage"])
        for job in real.listed(control_plane, namespace, "jobs")
    )
    assert jobs == {(f"r{number}", stage): 1 for number in range(COUNT) for stage in STAGES}
    assert real.phases(control_plane, namespace) == {"Succeeded"}
    assert second.logged("error") == []
    assert second.get("/healthz")[0] == 200
