"""Requests from start to end, with pods that run on a fake node, while replicas are killed."""

import random
import signal
import time
from collections import Counter

from control_plane import ControlPlane
from controller.replicas import Replica, Replicas
from controller.shell import real

STAGES = ("generate", "train", "merge", "evaluate")
HOLDER = ("-o", "jsonpath={.spec.holderIdentity}")


def test_killed_ten_times_every_stage_of_every_request_runs_once(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    rng, namespace = random.Random(7), control_plane.namespace()
    names = [f"r{number}" for number in range(6)]
    pair = [replicas.start(), replicas.start()]
    for name in names:
        real.apply(control_plane, namespace, name)
    kills = 0
    deadline = time.monotonic() + 240
    while kills < 10 or any(
        item["status"].get("phase") != "Succeeded" for item in real.listed(control_plane, namespace, "treq")
    ):
        assert time.monotonic() < deadline, [
            item["status"] for item in real.listed(control_plane, namespace, "treq")
        ]
        if kills < 10:
            time.sleep(rng.uniform(0.5, 3.0))
            victim = next(
                (replica for replica in pair if replica.metric("tunesmith_leader") == 1), rng.choice(pair)
            )
            victim.stop(signal.SIGKILL)
            pair[pair.index(victim)] = replicas.start()
            kills += 1
            # a leader that is killed leaves its lease behind for 15 s; this test has no hours
            if led(
                victim,
                control_plane.kubectl("get", "lease", replicas.lease, "--ignore-not-found", *HOLDER).stdout,
            ):
                control_plane.kubectl("delete", "lease", replicas.lease)
        else:
            time.sleep(0.5)
    jobs = Counter(
        (job["metadata"]["labels"]["tunesmith.dev/request"], job["metadata"]["labels"]["tunesmith.dev/stage"])
        for job in real.listed(control_plane, namespace, "jobs")
    )
    assert jobs == {(name, stage): 1 for name in names for stage in STAGES}
    assert {
        row["attempt"]
        for item in real.listed(control_plane, namespace, "treq")
        for row in item["status"]["stages"]
    } == {1}
    assert [line for replica in replicas.all for line in replica.logged("error")] == []


def led(replica: Replica, holder: str) -> bool:
    """Whether this replica has led as the one that the lease names."""
    return f"leading as {holder}" in [line["message"] for line in replica.logged("info")]


def test_a_finished_request_costs_nothing_and_few_calls_brought_it_there(
    replicas: Replicas, control_plane: ControlPlane
) -> None:
    replica, namespace = replicas.start(), control_plane.namespace()
    real.until("ready", lambda: replica.get("/readyz")[0] == 200)
    for number in range(3):
        real.apply(control_plane, namespace, f"r{number}")
    real.until(
        "all end",
        lambda: (
            {item["status"].get("phase") for item in real.listed(control_plane, namespace, "treq")}
            == {"Succeeded"}
        ),
    )
    time.sleep(3)  # the last Events
    calls = replica.calls()
    writes = calls["all"] - calls["pods/log"]
    assert writes / 3 < 16, "6 statuses, 1 Event, 4 Jobs, 1 snapshot each; lists and watches are shared"
    assert calls["trainingrequests/status"] / 3 <= 6
    assert calls["events"] / 3 <= 1
    time.sleep(12)
    assert replica.calls()["trainingrequests/status"] == calls["trainingrequests/status"], (
        "nothing is written about what has ended"
    )
