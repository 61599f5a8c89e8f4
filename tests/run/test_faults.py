"""kill -9 at any moment, run again: the same bytes, and nothing paid twice but what was in flight."""

import os
import time
from pathlib import Path

import pytest
from whole_runs import digests, kill_at

KILLS = 10 if os.environ.get("TUNESMITH_LONG") else 3  # some 40 s each; `make e2e-full` kills ten times
IN_FLIGHT = 4


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_killed_at_random_moments_ends_with_the_bytes_of_an_undisturbed_one(bench, rng):
    bench.spec["data"]["teacher"]["maxConcurrency"] = IN_FLIGHT
    started = time.monotonic()
    bench.run()
    undisturbed_seconds = time.monotonic() - started
    paid = bench.teacher.calls()
    expected = digests(Path(bench.store.removeprefix("file://")), bench.name)
    assert {name.split("/")[0] for name in expected} == {"generate", "train", "merge"}

    kills, stores = 0, 1
    bench.store = f"file://{bench.folder}/store {stores}"
    while kills < KILLS:
        process = bench.start("run", str(bench.write()), "--store", bench.store)
        if kill_at(process, rng.uniform(0.3, undisturbed_seconds * 0.6), whole_group=rng.random() < 0.5):
            kills += 1
        else:  # it got through: the other moments hit a new run
            assert process.returncode == 0, process.stdout.read()
            assert digests(Path(bench.store.removeprefix("file://")), bench.name) == expected
            stores += 1
            bench.store = f"file://{bench.folder}/store {stores}"
        process.stdout.close()
    bench.run()
    assert digests(Path(bench.store.removeprefix("file://")), bench.name) == expected
    assert bench.teacher.calls() <= paid * (1 + stores) + kills * IN_FLIGHT


def test_a_kill_while_generating_repeats_only_what_was_in_flight(bench):
    bench.spec["data"]["teacher"]["maxConcurrency"] = IN_FLIGHT
    process = bench.start("run", str(bench.write()), "--store", bench.store, "--only", "generate")
    while bench.teacher.calls() < 15:
        time.sleep(0.02)
        assert process.poll() is None, process.stdout.read()
    process.kill()
    process.wait()
    process.stdout.close()
    time.sleep(1)  # the stage sees its runner's end and stops
    asked = bench.teacher.calls()
    assert asked < 30
    bench.run("--only", "generate")
    total = bench.teacher.calls()

    bench.store = f"file://{bench.folder}/undisturbed"
    bench.run("--only", "generate")
    needed = bench.teacher.calls() - total
    assert total - needed <= IN_FLIGHT
