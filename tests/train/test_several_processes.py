"""Training as several processes, one for each GPU: here two on a CPU.

What it computes, which process writes, and how it ends.
"""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.train.conftest import QUICK, ROWS, Training, digests, read_jsonl
from tunesmith.errors import ExitCode
from tunesmith.events import Result, parse
from tunesmith_jobs.finished import Finished, read_manifest
from tunesmith_jobs.storage import open_store
from tunesmith_jobs.train.launch import decides, environment

# 20 rows, 2 processes x 2 a batch x 2 batches a step: 3 steps an epoch, 9 in all.
# One process with 4 a batch has the same rows in a step.
DATA = {"train": ROWS[:20]}
LONG = {
    "groupByLength": True,
    "maxSteps": -1,
    "numTrainEpochs": 3.0,
    "perDeviceTrainBatchSize": 2,
    "gradientAccumulationSteps": 2,
    "saveSteps": 2,
    "loggingSteps": 1,
    "learningRate": 0.003,
}

ENDS = {  # exit codes by rank, in the order in which they came -> the rank whose code it is
    "nobody has ended": ({}, None),
    "a follower is done, the leader still tests": ({1: 0}, None),
    "all done": ({1: 0, 0: 0}, 0),
    "the result is in the store, a follower was ended": ({0: 0, 1: 143}, 0),
    "a follower saw the bad data first": ({1: 65, 0: 1}, 1),
    "the leader crashed first, having lost a follower that knew why": ({0: 1, 1: 65}, 1),
    "a follower was killed for its memory": ({0: 1, 1: 137}, 1),
    "all were told": ({1: 143, 0: 143}, 1),
    "the leader lost a follower that was told": ({0: 1, 1: 143}, 1),
    "the leader lost the store": ({0: 75, 1: 1}, 0),
    "a bug": ({1: 1, 0: 1}, 1),
}


@pytest.mark.parametrize(("codes", "rank"), ENDS.values(), ids=ENDS)
def test_the_process_that_knows_most_decides_how_the_stage_ends(codes, rank) -> None:
    assert decides(codes) == rank


def test_processes_share_the_cores_unless_told_otherwise() -> None:
    cores = len(os.sched_getaffinity(0))
    assert environment({}, 1, 2, 29)["OMP_NUM_THREADS"] == str(max(1, cores // 2))
    assert environment({"OMP_NUM_THREADS": "7"}, 1, 2, 29)["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize("arguments", [[], ["--processes=0"], ["--processes=two"], ["--request", "x"]])
def test_a_launcher_without_a_number_says_how_it_is_used(arguments, capfd) -> None:
    done = subprocess.run([sys.executable, "-m", "tunesmith_jobs.train.launch", *arguments], check=False)
    assert done.returncode == ExitCode.USAGE
    assert "--processes=N" in capfd.readouterr().err


def launch(
    training: Training, *, at: str = "", number: signal.Signals = signal.SIGTERM, environ=()
) -> tuple[int, list[str], Result]:
    """Exit code, lines and result of the launcher, which gets a signal when a line begins with `at`."""
    request, message = training.folder / "request.json", training.folder / "termination-log"
    request.write_text(training.snapshot.to_json(), encoding="utf-8")
    message.write_text("")
    command = [
        sys.executable,
        "-m",
        "tunesmith_jobs.train.launch",
        "--processes=2",
        "--request",
        str(request),
        "--store",
        training.url,
    ]
    command += ["--work", str(training.folder / "scratch")]
    env = os.environ | {"OMP_NUM_THREADS": "1", "TUNESMITH_TERMINATION_LOG": str(message)} | dict(environ)
    lines = []
    with subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            lines.append(line.rstrip())
            if at and line.startswith(at):
                process.send_signal(number)
    result = parse(message.read_text())
    assert isinstance(result, Result), lines
    return process.returncode, lines, result


def finished(training: Training) -> Finished:
    store = open_store(training.url)
    manifest = read_manifest(store, training.snapshot.run, "train", training.snapshot.key("train"))
    assert manifest is not None
    return Finished(store, manifest, training.folder / "read")


@pytest.fixture(scope="module")
def pair(tmp_path_factory, model):
    """A training that two processes did undisturbed, and how it ended."""
    made = Training(tmp_path_factory.mktemp("pair"), model, QUICK | LONG, **DATA)
    return made, launch(made)


def test_two_processes_learn_what_one_learns_from_as_many_rows_a_step(pair, training) -> None:
    """Not to the bit: gradients are added in another order."""
    together, (code, lines, result) = pair
    assert (code, result.exit_code, result.reason) == (0, 0, "Done")
    alone = training(LONG | {"perDeviceTrainBatchSize": 4}, **DATA).run().manifest.metrics
    both = finished(together).manifest.metrics
    assert (both["steps"], both["rows"]) == (alone["steps"], alone["rows"]) == (9, 20)
    assert both["tokens"] == alone["tokens"]
    assert both["testLossBefore"] == pytest.approx(alone["testLossBefore"], rel=1e-6)
    assert both["testLossAfter"] == pytest.approx(alone["testLossAfter"], rel=1e-3)
    assert both["testLossAfter"] < 0.9 * both["testLossBefore"]
    assert any(line.startswith("training on 2 x CPU") for line in lines)
    report = json.loads(finished(together).read("report.json"))
    assert report["trainer"]["trainer"]["ddp_find_unused_parameters"] is False


def test_the_leader_alone_prints_and_writes(pair) -> None:
    together, (_, lines, result) = pair
    assert [parse(line) for line in lines if line.startswith('{"event":"result"')] == [result]
    paths = [entry.path for entry in open_store(together.url).list(f"{together.snapshot.run}/train/")]
    assert {path.split("/")[4] for path in paths if "/attempts/" in path} == {result.attempt}, (
        "a follower left files"
    )
    assert len([path for path in paths if "/logs/" in path]) == 1


def test_two_processes_told_to_stop_save_once_and_resume_to_the_same_bytes(pair, training) -> None:
    stopped = training(LONG, **DATA)
    code, lines, result = launch(stopped, at="step 4 of")
    assert (code, result.exit_code, result.reason) == (ExitCode.STOPPED, ExitCode.STOPPED, "Stopped"), lines
    saved = [name for name in stopped.checkpoints() if name.endswith(".json") and "/" not in name]
    newest = max(int(name.split("-")[0]) for name in saved)
    assert 4 <= newest < 9, "the step at which they were told to stop was not saved"
    assert sum(name.startswith(f"{newest}-") for name in saved) == 1, (
        "more than one process saved the checkpoint"
    )
    states = {
        name.rpartition("/")[2]
        for name in stopped.checkpoints()
        if name.startswith(f"{newest}-") and "rng_state" in name
    }
    assert states == {"rng_state_0.pth", "rng_state_1.pth"}
    code, lines, _ = launch(stopped)
    assert code == 0
    assert f"resuming from the checkpoint of step {newest}" in lines
    assert digests(finished(stopped).manifest) == digests(finished(pair[0]).manifest)
    assert [entry["step"] for entry in read_jsonl(finished(stopped).read("history.jsonl"))] == list(
        range(1, 10)
    )


def test_what_one_of_the_processes_cannot_do_is_how_the_stage_ends(training) -> None:
    # An epsilon that is zero as float32, beside first gradients that are zero too: AdamW divides 0 by 0.
    code, lines, result = launch(training(LONG | {"adamEpsilon": 1e-300, "optim": "adamw_torch"}))
    assert (code, result.exit_code, result.reason) == (65, 65, "LossNotFinite"), lines
    assert parse(lines[-1]) == result


def test_cuda_without_a_gpu_is_tried_again_with_two_processes_too(training) -> None:
    code, lines, result = launch(training(LONG | {"device": "cuda"}))
    assert (code, result.exit_code, result.reason) == (75, 75, "NoGPU"), lines
