"""What a training leaves, and how it ends when it cannot."""

import json

import pytest
import torch
from safetensors import safe_open

from tests.tiny import tiny_model
from tests.train.conftest import CATEGORIES, ROWS, digests, read_jsonl
from tunesmith.errors import BadData, BadRequest, Gone, TryAgain
from tunesmith_jobs.device import Device, named_out_of_memory


def test_what_a_training_leaves(training, model) -> None:
    run = training({"maxSteps": 4, "loggingSteps": 2}, validation=ROWS[:2])
    finished = run.run()
    assert finished.names() == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "history.jsonl",
        "report.json",
        "samples.json",
    ]
    config = json.loads(finished.read("adapter/adapter_config.json"))
    pin = finished.manifest.pins["base"]
    assert (config["base_model_name_or_path"], config["revision"]) == (f"file://{model}", pin.revision)
    assert config["target_modules"] == sorted(config["target_modules"])
    assert str(run.folder) not in json.dumps(config)
    with safe_open(finished.path("adapter/adapter_model.safetensors"), "pt") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"torch.float32"}  # noqa: SIM118 no mapping
    history = read_jsonl(finished.read("history.jsonl"))
    assert {
        "step",
        "epoch",
        "loss",
        "learningRate",
        "gradNorm",
        "tokens",
        "tokensPerSecond",
        "meanTokenAccuracy",
        "peakMemoryBytes",
    } <= next(entry.keys() for entry in history if "loss" in entry)
    assert any("evalLoss" in entry for entry in history)
    report = json.loads(finished.read("report.json"))
    assert report["tokens"]["train"]["rows"] == len(ROWS)
    assert report["testLossAfter"] < report["testLossBefore"]
    assert report["preview"][-1]["text"].endswith("<|im_end|>\n")
    samples = json.loads(finished.read("samples.json"))
    assert [sample["id"] for sample in samples] == ["test-0", "test-1", "test-2"]
    assert finished.manifest.metrics["testLossAfter"] == report["testLossAfter"]


def test_what_tensorboard_writes_stays_in_the_run(training) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    finished = training({"reportTo": ["tensorboard"]}).run()
    [name] = [name for name in finished.names() if name.startswith("tensorboard/")]
    events = EventAccumulator(str(finished.path(name)))
    events.Reload()
    assert len(events.Scalars("train/loss")) == 2


def test_a_tracker_that_the_image_lacks_is_a_bad_request_by_name(training) -> None:
    with pytest.raises(
        BadRequest, match=r"spec.training.reportTo: is not installed where train runs \(found: 'wandb'\)"
    ) as caught:
        training({"reportTo": ["wandb"]}).run()
    assert caught.value.reason == "TrackerMissing"


def test_equal_trainings_leave_equal_bytes_and_other_seeds_others(training) -> None:
    assert digests(training().run().manifest) == digests(training().run().manifest)
    assert digests(training().run().manifest) != digests(training({"seed": 7}).run().manifest)


def test_eval_steps_0_evaluates_once_at_the_end(training) -> None:
    history = read_jsonl(training({"evalSteps": 0}, validation=ROWS[:2]).run().read("history.jsonl"))
    assert [entry["step"] for entry in history if "evalLoss" in entry] == [2]


def test_training_goes_on_from_another_runs_adapter(training, tmp_path) -> None:
    first = training({"maxSteps": 6})
    before = first.run()
    second = training({"from": {"run": "r"}, "learningRate": 1e-9})
    _copy_run(first, second)
    after = second.run()
    assert after.manifest.pins["from"].detail["key"] == before.manifest.key
    assert after.manifest.metrics["testLossBefore"] == pytest.approx(
        before.manifest.metrics["testLossAfter"], abs=1e-4
    )


def test_an_adapter_of_another_base_or_shape_is_refused(training, tmp_path) -> None:
    first = training()
    first.run()
    other_base = training({"from": {"run": "r"}}, base=tiny_model(tmp_path / "other", seed=1))
    _copy_run(first, other_base)
    with pytest.raises(BadRequest, match="another base model"):
        other_base.run()
    other_shape = training({"from": {"run": "r"}, "loraR": 8, "loraTargetModules": ["q_proj"]})
    _copy_run(first, other_shape)
    with pytest.raises(BadRequest, match=r"adapter_config.json: r: is 4 there and 8 here") as caught:
        other_shape.run()
    assert {problem.path for problem in caught.value.problems} == {
        "adapter_config.json: r",
        "adapter_config.json: target_modules",
    }
    missing = training({"from": {"run": "nobody"}})
    with pytest.raises(BadRequest, match="no finished adapter of this run"):
        missing.run()


def _copy_run(source, target) -> None:
    here, there = source.attempt().store, target.attempt().store
    for entry in here.list("r/train/"):
        there.write(entry.path, here.read(entry.path))


def test_a_loss_that_is_no_number_stops_at_once_and_keeps_the_last_checkpoint(training) -> None:
    # As float32 it is zero, and so are the first gradients of half the adapter: AdamW divides 0 by 0.
    run = training({"adamEpsilon": 1e-300, "optim": "adamw_torch", "maxSteps": 30, "saveSteps": 1})
    with pytest.raises(BadData, match=r"the loss at step \d+ is not a number") as caught:
        run.run()
    assert caught.value.reason == "LossNotFinite"
    assert any(name.endswith(".json") for name in run.checkpoints())


def test_unknown_target_modules_are_refused_with_what_the_model_has(training) -> None:
    with pytest.raises(BadRequest, match="it has down_proj, gate_proj, k_proj") as caught:
        training({"loraTargetModules": ["query"]}).run()
    assert caught.value.reason == "UnknownTargetModules"


def test_one_row_without_a_test_split_is_enough(training) -> None:
    finished = training({}, train=ROWS[:1], test=[]).run()
    report = json.loads(finished.read("report.json"))
    assert (report["testLossBefore"], report["testLossAfter"]) == (None, None)
    assert json.loads(finished.read("samples.json")) == []


def test_a_base_that_changed_since_it_was_pinned_is_gone(training, tmp_path) -> None:
    base = tiny_model(tmp_path / "base")
    run = training({"saveSteps": 1}, base=base)
    run.kill(2)
    tiny_model(base, seed=5)
    with pytest.raises(Gone, match="is not what this run was trained on"):
        run.run()


def test_a_random_model_learns(training) -> None:
    rows = [row | {"response": CATEGORIES[0]} for row in ROWS]
    run = training(
        {"maxSteps": 30, "loraR": 16, "learningRate": 0.02, "loggingSteps": 30, "saveSteps": 60},
        train=rows,
        test=rows[:3],
    )
    metrics = run.run().manifest.metrics
    assert metrics["testLossAfter"] < 0.75 * metrics["testLossBefore"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_tried_again_elsewhere_with_the_drivers_facts(training) -> None:
    with pytest.raises(TryAgain, match="no GPU is visible") as caught:
        training({"device": "cuda"}).run()
    assert caught.value.reason == "NoGPU"
    assert any("torch" in problem.why for problem in caught.value.problems)


def test_out_of_memory_on_a_gpu_is_an_error_with_a_name() -> None:
    gpu = Device("cuda", "Some GPU", 2**34, supports_bf16=True)
    with (
        pytest.raises(BadRequest, match=r"Some GPU ran out of memory \(16.0 GiB\)") as caught,
        named_out_of_memory(gpu),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    assert caught.value.reason == "OutOfMemory"
