"""The base model and its tokenizer, and a fresh adapter on top."""

from pathlib import Path
from typing import Any

import torch

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Training
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.device import Device, free_memory
from tunesmith_jobs.train import arguments, fourbit

_UNPACKED_SHARE = 0.5  # of the free memory that unpacked 4-bit weights may take on a CPU


def load_tokenizer(folder: Path, settings: Training) -> Any:
    """The base model's tokenizer, with the padding that the request asks for."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if settings.pad_token == "eos" or tokenizer.pad_token is None:  # noqa: S105 not a secret
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = settings.padding_side
    return tokenizer


def load_model(folder: Path, settings: Training, device: Device, attempt: Attempt | None = None) -> Any:
    """The base model, frozen, in 4 bits if the request asks for that.

    On a CPU its 4-bit values are unpacked where memory allows (fourbit.py). `attempt`: logs it if they are
    not.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    stored_as = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    dtype = arguments.load_dtype(settings, device.kind, stored_as)
    compute_dtype = arguments.compute_dtype(settings, device.kind, supports_bf16=device.supports_bf16)
    quantization = arguments.quantization(settings, compute_dtype)
    options: dict[str, Any] = {}
    if quantization is not None:
        options["quantization_config"] = BitsAndBytesConfig(**quantization)
    if settings.attn_implementation != "auto":
        options["attn_implementation"] = settings.attn_implementation
    place = f"cuda:{torch.cuda.current_device()}" if device.kind == "cuda" else "cpu"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            device_map={"": place},
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            **options,
        )
    except ImportError as error:  # flash attention that is not installed
        raise BadRequest(
            str(error).splitlines()[0], reason="NotInstalled", remedy="leave training.attnImplementation out"
        ) from error
    model.config.use_cache = False
    if quantization is not None and device.kind == "cpu":
        _unpack_if_it_fits(model, attempt)
    return model


def _unpack_if_it_fits(model: Any, attempt: Attempt | None) -> None:
    needed, free = fourbit.unpacked_bytes(model), free_memory()
    if needed <= free * _UNPACKED_SHARE:
        fourbit.unpack(model)
        return
    fourbit.keep_packed(model)
    if attempt is not None:
        sizes = f"{needed / 2**30:.1f} GiB unpacked, {free / 2**30:.1f} GiB free"
        attempt.say(f"4-bit weights stay packed ({sizes}): slower steps")


def add_adapter(model: Any, settings: Training) -> Any:
    """The model with a fresh adapter, in float32. Raises BadRequest for modules that it does not have."""
    from peft import LoraConfig, get_peft_model
    from transformers import set_seed

    set_seed(settings.seed)
    try:
        return get_peft_model(model, LoraConfig(**arguments.lora(settings)), autocast_adapter_dtype=True)
    except ValueError as error:
        if "arget modules" not in str(error) and "odules_to_save" not in str(error):
            raise
        raise BadRequest(
            "the base model lacks the modules that an adapter was asked for",
            reason="UnknownTargetModules",
            problems=[
                Problem(
                    "spec.training.loraTargetModules",
                    "not in the model",
                    list(settings.lora_target_modules),
                    f"it has {', '.join(_linear_names(model))}",
                )
            ],
        ) from error


def _linear_names(model: Any) -> list[str]:
    """Last parts of the names of all linear modules."""
    return sorted(
        {
            name.rpartition(".")[2]
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear)
        }
    )
