"""A training that was killed or stopped, however often, ends with the very bytes of an undisturbed one."""

import json
import signal

import pytest

from tests.stages import start_module
from tests.train.conftest import Training, digests, read_jsonl
from tunesmith.errors import ExitCode, Stopped
from tunesmith.events import parse
from tunesmith_jobs.train import checkpoints as checkpoints_module

# 22 rows, 4 a batch, 2 batches a step: 3 steps an epoch, the last one short; 9 steps in all.
LONG = {
    "maxSteps": -1,
    "numTrainEpochs": 3.0,
    "perDeviceTrainBatchSize": 4,
    "gradientAccumulationSteps": 2,
    "saveSteps": 2,
    "loggingSteps": 2,
}
CASES = {
    "NF4, grouped by length, dropout": {"groupByLength": True, "loraDropout": 0.1},
    "NF4 with gradient checkpointing off and NEFTune": {
        "gradientCheckpointing": False,
        "neftuneNoiseAlpha": 5.0,
    },
    "whole base model with DoRA and a paged 8-bit optimizer": {
        "loadIn4bit": False,
        "useDora": True,
        "optim": "paged_adamw_8bit",
    },
}
DEATHS = {"NF4, grouped by length, dropout": [(1, 4, 6, 8), (5, 9)]}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_killed_trainings_give_the_bytes_of_an_undisturbed_one(settings, training, request) -> None:
    undisturbed = digests(training(LONG | settings).run().manifest)
    assert len(undisturbed) == 2
    for deaths in DEATHS.get(request.node.callspec.id, [(2, 7)]):
        disturbed = training(LONG | settings)
        for step in deaths:
            disturbed.kill(step)
        assert digests(disturbed.run().manifest) == undisturbed, f"killed at {deaths}"
        assert disturbed.checkpoints() == [], "checkpoints of a finished key are left behind"


def test_a_training_told_to_stop_saves_that_step_and_resumes_from_it(training, capsys) -> None:
    undisturbed = digests(training(LONG).run().manifest)
    stopped = training(LONG)
    attempt = stopped.attempt()
    attempt.stop_at = 5
    with pytest.raises(Stopped):
        stopped.run(attempt)
    assert any(name.startswith("5-") for name in stopped.checkpoints())
    finished = stopped.run()
    assert digests(finished.manifest) == undisturbed
    assert "resuming from the checkpoint of step 5" in capsys.readouterr().out
    assert [entry["step"] for entry in read_jsonl(finished.read("history.jsonl"))] == [2, 4, 6, 8]


def test_a_damaged_checkpoint_is_skipped_for_the_one_before(training, capsys) -> None:
    undisturbed = digests(training(LONG).run().manifest)
    damaged = training(LONG)
    damaged.kill(7)
    attempt = damaged.attempt()
    newest = max(
        name for name in damaged.checkpoints() if name.startswith("6-") and name.endswith("optimizer.pt")
    )
    path = f"{attempt.folder}/checkpoints/{newest}"
    data = bytearray(attempt.store.read(path))
    data[len(data) // 2] ^= 1
    attempt.store.write(path, bytes(data))
    assert digests(damaged.run(attempt).manifest) == undisturbed
    printed = capsys.readouterr().out
    assert "is incomplete or damaged and is skipped" in printed
    assert "resuming from the checkpoint of step 4" in printed


def test_early_stopping_takes_the_best_adapter_also_after_a_restart(training) -> None:
    # A learning rate far too high: the validation loss gets worse after a few steps.
    settings = LONG | {
        "learningRate": 0.3,
        "earlyStoppingPatience": 2,
        "evalSteps": 1.0,
        "saveSteps": 1,
        "numTrainEpochs": 10.0,
    }
    data = {"validation": [{"prompt": "something else altogether", "response": "no JSON at all"}]}
    whole = training(settings, **data)
    finished = whole.run()
    report = json.loads(finished.read("report.json"))
    losses = {
        entry["step"]: entry["evalLoss"]
        for entry in read_jsonl(finished.read("history.jsonl"))
        if "evalLoss" in entry
    }
    assert report["bestStep"] == min(losses, key=lambda step: (losses[step], step))
    assert report["steps"] == report["bestStep"] + 2 < 30, "patience had no effect"
    for step in {report["bestStep"] + 1, report["steps"]}:
        disturbed = training(settings, **data)
        disturbed.kill(step)
        assert digests(disturbed.run().manifest) == digests(finished.manifest)


def test_only_so_many_checkpoints_stay_in_the_store(training) -> None:
    run = training(LONG | {"saveTotalLimit": 1, "saveSteps": 1})
    run.kill(4)
    assert len({name.split("/")[0].removesuffix(".json") for name in run.checkpoints()}) == 1
    assert {name.split("-")[0] for name in run.checkpoints()} == {"3"}


def test_kill_9_and_sigterm_of_the_process(training) -> None:
    undisturbed = digests(training(LONG).run().manifest)
    real: Training = training(LONG)
    lines = signalled(real, "step 4 of", signal.SIGKILL, returncode=-signal.SIGKILL)
    assert not any(line.startswith('{"event":"result"') for line in lines)
    assert any(name.startswith(("2-", "4-")) and name.endswith(".json") for name in real.checkpoints())
    result = parse(signalled(real, "step 6 of", signal.SIGTERM, returncode=ExitCode.STOPPED)[-1])
    assert (result.exit_code, result.reason) == (ExitCode.STOPPED, "Stopped")
    assert max(int(name.split("-")[0]) for name in real.checkpoints()) >= 7, (
        "the step at which it was told to stop was not saved"
    )
    assert digests(real.run().manifest) == undisturbed


def signalled(real: Training, at: str, number: signal.Signals, *, returncode: int) -> list[str]:
    """The lines of the stage as a process, which gets a signal when it logs a line that begins with `at`."""
    with start_module(
        "tunesmith_jobs.train", real.snapshot, real.url, real.folder, {"OMP_NUM_THREADS": "1"}
    ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith(at):
                process.send_signal(number)
    assert process.returncode == returncode, lines
    return lines


def test_names_are_ordered_by_step_as_a_number() -> None:
    paths = ["9-a-1.json", "10-b-2.json", "10-b-2/optimizer.pt", "100-a-1/optimizer.pt", "x.json"]
    assert [str(name) for name in checkpoints_module.names(paths)] == ["10-b-2", "9-a-1"]
