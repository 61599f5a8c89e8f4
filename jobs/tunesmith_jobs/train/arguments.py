"""Maps a request's settings to keyword arguments of trl, peft and bitsandbytes. Pure; types by name.

trl and transformers have changed names and meanings since the settings were named: evaluation_strategy is
eval_strategy; group_by_length is train_sampling_strategy; a warmup_steps below 1 is a ratio; max_seq_length
is max_length.
"""

from collections.abc import Mapping
from typing import Any

from tunesmith.settings import Training

IGNORE_WARMUP = ("constant",)  # schedules that have no warmup in transformers


def compute_dtype(settings: Training, device: str, *, supports_bf16: bool) -> str:
    """Name of the torch type in which 4-bit weights are multiplied. `device`: cuda or cpu."""
    if settings.bnb_4bit_compute_dtype != "auto":
        return settings.bnb_4bit_compute_dtype
    if device == "cpu":
        return "float32"
    return "bfloat16" if supports_bf16 else "float16"


def load_dtype(settings: Training, device: str, stored_as: str) -> str:
    """Name of the torch type of weights that are not quantised. `stored_as`: the base model's.

    Next to 4-bit layers it is float32, as in peft's preparation for k-bit training. On a GPU a whole model
    keeps its own type, to save memory, unless some of its own weights are trained: what is trained is always
    float32.
    """
    trains_base_weights = bool(settings.lora_modules_to_save) or settings.lora_bias != "none"
    if settings.load_in_4bit or device == "cpu" or trains_base_weights:
        return "float32"
    return stored_as


def quantization(settings: Training, dtype: str) -> dict[str, Any] | None:
    """For BitsAndBytesConfig, which takes `bnb_4bit_compute_dtype` by name; None without quantisation."""
    if not settings.load_in_4bit:
        return None
    return {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": settings.bnb_4bit_quant_type,
        "bnb_4bit_compute_dtype": dtype,
        "bnb_4bit_use_double_quant": settings.bnb_4bit_use_double_quant,
    }


def lora(settings: Training) -> dict[str, Any]:
    """For LoraConfig."""
    targets = settings.lora_target_modules
    return {
        "task_type": "CAUSAL_LM",
        "r": settings.lora_r,
        "lora_alpha": settings.lora_alpha,
        "lora_dropout": settings.lora_dropout,
        "bias": settings.lora_bias,
        "target_modules": "all-linear" if targets == ("all-linear",) else list(targets),
        "modules_to_save": list(settings.lora_modules_to_save) or None,
        "use_rslora": settings.use_rslora,
        "use_dora": settings.use_dora,
    }


def trainer(
    settings: Training, *, device: str, folder: str, max_length: int, validates: bool
) -> dict[str, Any]:
    """For SFTConfig.

    `folder`: for checkpoints; `max_length`: tokens of a row at most; `validates`: whether there is a
    validation split.
    """
    return {
        "output_dir": folder,
        # what is trained on
        "max_length": max_length,
        "packing": settings.packing,
        "completion_only_loss": True,
        "train_sampling_strategy": "group_by_length" if settings.group_by_length else "random",
        # how far
        "num_train_epochs": settings.num_train_epochs,
        "max_steps": settings.max_steps if settings.max_steps > 0 else -1,
        "per_device_train_batch_size": settings.per_device_train_batch_size,
        "per_device_eval_batch_size": settings.per_device_eval_batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation_steps,
        # the optimizer
        "optim": settings.optim,
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "adam_beta1": settings.adam_beta1,
        "adam_beta2": settings.adam_beta2,
        "adam_epsilon": settings.adam_epsilon,
        "max_grad_norm": settings.max_grad_norm,
        "lr_scheduler_type": settings.lr_scheduler_type,
        "warmup_steps": warmup(settings),
        "neftune_noise_alpha": settings.neftune_noise_alpha or None,
        # precision and memory
        "fp16": settings.fp16,
        "bf16": settings.bf16,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device != "cpu",
        # several processes: every trained weight is used in every step
        "ddp_find_unused_parameters": False,
        # what it logs and keeps
        "logging_strategy": "steps",
        "logging_steps": settings.logging_steps,
        "logging_first_step": False,
        "logging_nan_inf_filter": False,  # it would hide a NaN behind the mean of earlier losses
        "include_num_input_tokens_seen": "non_padding",
        "report_to": list(settings.report_to) or "none",
        "disable_tqdm": True,
        "save_strategy": "steps",
        "save_steps": settings.save_steps,
        "save_total_limit": settings.save_total_limit,
        **_evaluation(settings, validates=validates),
        # reproducibility
        "seed": settings.seed,
        "data_seed": settings.seed,
        "full_determinism": False,  # it also seeds anew; libraries.py sees to `deterministic`
        "remove_unused_columns": True,
        "dataset_num_proc": None,
    }


def warmup(settings: Training) -> float:
    """What transformers calls warmup_steps: steps, or a share of all steps if below 1."""
    return settings.warmup_steps or settings.warmup_ratio


def _evaluation(settings: Training, *, validates: bool) -> Mapping[str, Any]:
    if not validates or settings.eval_steps == 0:
        return {"eval_strategy": "no"}
    steps = settings.eval_steps
    return {"eval_strategy": "steps", "eval_steps": steps if steps < 1 else int(steps)}


def warmup_is_ignored(settings: Training) -> bool:
    """Whether the request asks for a warmup that the schedule does not have."""
    return settings.lr_scheduler_type in IGNORE_WARMUP and warmup(settings) > 0
