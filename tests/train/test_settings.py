"""Every setting of a request is effective: read back from the trainer, adapter and model that it built."""

from pathlib import Path

import pytest

from tests.stages import snapshot_for
from tunesmith.presets import TRAINING
from tunesmith.settings import Training
from tunesmith_jobs.device import Device, setting_problems
from tunesmith_jobs.train import arguments

CPU = Device("cpu", "CPU", 2**34, supports_bf16=False)
GPU = Device("cuda", "Some GPU", 2**34, supports_bf16=True)
OLD_GPU = Device("cuda", "Old GPU", 2**34, supports_bf16=False)


def settings(**values) -> Training:
    return snapshot_for({"training": values}).spec.training


# setting -> value other than built-in, where it is read back, and as what
EFFECTS = {
    "loadIn4bit": (False, "quantization", None),
    "bnb4bitQuantType": ("fp4", "quantization.bnb_4bit_quant_type", "fp4"),
    "bnb4bitComputeDtype": ("bfloat16", "quantization.bnb_4bit_compute_dtype", "bfloat16"),
    "bnb4bitUseDoubleQuant": (False, "quantization.bnb_4bit_use_double_quant", False),
    "loraR": (8, "adapter.r", 8),
    "loraAlpha": (7.5, "adapter.lora_alpha", 7.5),
    "loraDropout": (0.25, "adapter.lora_dropout", 0.25),
    "loraBias": ("lora_only", "adapter.bias", "lora_only"),
    "loraTargetModules": (["v_proj", "q_proj"], "adapter.target_modules", ["q_proj", "v_proj"]),
    "loraModulesToSave": (["norm"], "adapter.modules_to_save", ["norm"]),
    "useRslora": (True, "adapter.use_rslora", True),
    "useDora": (True, "adapter.use_dora", True),
    "numTrainEpochs": (2.5, "trainer.num_train_epochs", 2.5),
    "maxSteps": (17, "trainer.max_steps", 17),
    "perDeviceTrainBatchSize": (3, "trainer.per_device_train_batch_size", 3),
    "perDeviceEvalBatchSize": (5, "trainer.per_device_eval_batch_size", 5),
    "gradientAccumulationSteps": (6, "trainer.gradient_accumulation_steps", 6),
    "gradientCheckpointing": (False, "trainer.gradient_checkpointing", False),
    "maxGradNorm": (0.3, "trainer.max_grad_norm", 0.3),
    "learningRate": (3e-3, "trainer.learning_rate", 3e-3),
    "weightDecay": (0.001, "trainer.weight_decay", 0.001),
    "optim": ("paged_adamw_32bit", "trainer.optim", "paged_adamw_32bit"),
    "adamBeta1": (0.8, "trainer.adam_beta1", 0.8),
    "adamBeta2": (0.95, "trainer.adam_beta2", 0.95),
    "adamEpsilon": (1e-6, "trainer.adam_epsilon", 1e-6),
    "lrSchedulerType": ("constant_with_warmup", "trainer.lr_scheduler_type", "constant_with_warmup"),
    "warmupRatio": (0.25, "trainer.warmup_steps", 0.25),
    "warmupSteps": (4, "trainer.warmup_steps", 4),
    "bf16": (True, "trainer.bf16", True),
    "groupByLength": (True, "trainer.train_sampling_strategy", "group_by_length"),
    "maxLength": (100, "trainer.max_length", 100),
    "packing": (True, "trainer.packing", True),
    "padToken": ("eos", "padding.token", "<|im_end|>"),
    "paddingSide": ("left", "padding.side", "left"),
    "neftuneNoiseAlpha": (5.0, "trainer.neftune_noise_alpha", 5.0),
    "attnImplementation": ("eager", "attention", "eager"),
    "loggingSteps": (3, "trainer.logging_steps", 3),
    "evalSteps": (0.5, "trainer.eval_steps", 0.5),
    "saveSteps": (9, "trainer.save_steps", 9),
    "saveTotalLimit": (3, "trainer.save_total_limit", 3),
    "seed": (7, "trainer.seed", 7),
}
# Read elsewhere: device and from (test_work), deterministic and fp16 (on a GPU),
# earlyStoppingPatience (test_resume).
ELSEWHERE = {
    "preset",
    "device",
    "deterministic",
    "fp16",
    "earlyStoppingPatience",
    "from",
    "variants",
    "reportTo",
}


def test_the_table_names_every_setting() -> None:
    assert {
        field.alias or name for name, field in Training.model_fields.items()
    } == EFFECTS.keys() | ELSEWHERE


@pytest.fixture(scope="module")
def read_back(model: Path, tmp_path_factory):
    """Builds a trainer from settings and flattens what it says of itself to dotted names."""
    from tunesmith_jobs.train import load, tokens
    from tunesmith_jobs.train.build import build_trainer
    from tunesmith_jobs.train.report import settings_read_back
    from tunesmith_jobs.train.splits import Splits

    def build(**values):
        chosen = settings(**values)
        tokenizer = load.load_tokenizer(model, chosen)
        rows = [tokens.Encoded("a", [1, 5, 6, 2], [-100, -100, 6, 2], 4)]
        splits = Splits(rows, rows, rows, [], "", True, {}, [])
        peft_model = load.add_adapter(load.load_model(model, chosen, CPU), chosen)
        trainer = build_trainer(
            peft_model,
            tokenizer,
            splits,
            chosen,
            device="cpu",
            folder=tmp_path_factory.mktemp("trainer"),
            max_length=chosen.max_length or 512,
        )
        in_use = settings_read_back(trainer)
        batch = trainer.data_collator(
            [{"input_ids": [5], "labels": [5]}, {"input_ids": [5, 6], "labels": [5, 6]}]
        )["input_ids"].tolist()
        side = "left" if batch[0][0] != 5 else "right"
        in_use["padding"] = {"token": tokenizer.pad_token, "side": side}
        in_use["attention"] = peft_model.config._attn_implementation
        trainer.create_optimizer()
        in_use["built"] = trainer
        return in_use

    return build


def look_up(tree, path: str):
    for member in path.split("."):
        tree = None if tree is None else tree.get(member)
    return tree


# A trainer is built for a handful of groups of settings, not for each of forty.
APART = (
    "loadIn4bit",
    "bnb4bitQuantType",
    "warmupSteps",
    "packing",
    "useDora",
    "loraTargetModules",
    "loraModulesToSave",
)
GROUPS = [tuple(name for name in EFFECTS if name not in APART), *((name,) for name in APART)]


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0] if len(names) == 1 else "all others")
def test_settings_are_read_back_from_what_they_built(names, read_back) -> None:
    built_in = look_up_defaults(read_back)
    in_use = read_back(**{name: EFFECTS[name][0] for name in names})
    for name in names:
        _, path, expected = EFFECTS[name]
        assert look_up(in_use, path) == expected, name
        if name != "packing":
            assert look_up(built_in, path) != expected, f"{name}: the built-in value would pass too"
    assert in_use["adapterDtype"] == ["torch.float32"]


_defaults: dict = {}


def look_up_defaults(read_back) -> dict:
    if not _defaults:
        _defaults.update(read_back(numTrainEpochs=3.0))
    return _defaults


def test_the_original_preset_reaches_the_trainer(read_back) -> None:
    in_use = read_back(**{**TRAINING["original"], "loraTargetModules": ["q_proj", "v_proj"]})
    trainer = in_use["built"]
    assert type(trainer.optimizer).__name__ == "AdamW"
    assert type(trainer.optimizer).__module__.startswith("bitsandbytes")
    assert in_use["trainer"]["lr_scheduler_type"] == "constant"
    assert in_use["quantization"]["bnb_4bit_compute_dtype"] == "float16"
    assert in_use["quantization"]["bnb_4bit_use_double_quant"] is False
    assert arguments.warmup_is_ignored(settings(**TRAINING["original"]))


def test_nothing_is_reported_to_a_tracker_that_was_not_named() -> None:
    options = {"device": "cpu", "folder": "x", "max_length": 8, "validates": False}
    assert arguments.trainer(settings(), **options)["report_to"] == "none"
    assert arguments.trainer(settings(reportTo=["trackio"]), **options)["report_to"] == ["trackio"]


COMPUTE = {
    "a CPU multiplies in float32": (CPU, {}, "float32"),
    "a GPU with bfloat16 uses it": (GPU, {}, "bfloat16"),
    "an older GPU uses float16": (OLD_GPU, {}, "float16"),
    "what the request says counts": (GPU, {"bnb4bitComputeDtype": "float16"}, "float16"),
}


@pytest.mark.parametrize(("device", "values", "expected"), COMPUTE.values(), ids=COMPUTE)
def test_compute_dtype(device: Device, values, expected: str) -> None:
    assert (
        arguments.compute_dtype(settings(**values), device.kind, supports_bf16=device.supports_bf16)
        == expected
    )


LOADED = {
    "next to 4-bit layers all is float32": (GPU, {}, "float32"),
    "a whole model on a CPU is float32": (CPU, {"loadIn4bit": False}, "float32"),
    "a whole model on a GPU keeps its own type": (GPU, {"loadIn4bit": False}, "bfloat16"),
    "unless its own weights are trained": (
        GPU,
        {"loadIn4bit": False, "loraModulesToSave": ["lm_head"]},
        "float32",
    ),
}


@pytest.mark.parametrize(("device", "values", "expected"), LOADED.values(), ids=LOADED)
def test_load_dtype(device: Device, values, expected: str) -> None:
    assert arguments.load_dtype(settings(**values), device.kind, "bfloat16") == expected


IMPOSSIBLE = {
    "fp16 on a CPU": (CPU, {"fp16": True}, ["spec.training.fp16"]),
    "bf16 on a GPU without it": (OLD_GPU, {"bf16": True}, ["spec.training.bf16"]),
    "flash attention on a CPU": (
        CPU,
        {"attnImplementation": "flash_attention_2"},
        ["spec.training.attnImplementation"],
    ),
    "bf16 on a CPU is possible": (CPU, {"bf16": True}, []),
    "fp16 on a GPU is possible": (GPU, {"fp16": True}, []),
}


@pytest.mark.parametrize(("device", "values", "paths"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_settings_that_a_device_cannot_do_are_named(device: Device, values, paths: list[str]) -> None:
    assert [problem.path for problem in setting_problems(settings(**values), device)] == paths
