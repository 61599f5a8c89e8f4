"""The adapter: in float32 from its first step to its file, and the same bytes from the same training."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunesmith.errors import BadRequest, Problem
from tunesmith.manifest import Pin

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_SHAPE = ("r", "lora_alpha", "target_modules", "use_dora", "use_rslora", "bias", "modules_to_save")


def trainable(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all trained parameters, in float32."""
    return {
        name: parameter.detach().float().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


@torch.no_grad()
def restore(model: nn.Module, values: Mapping[str, torch.Tensor]) -> None:
    """Give the trained parameters these values and float32 back.

    trl casts the adapter of a quantised model to bfloat16 when the trainer is built: with small learning rates half of it then
    never moves, and a loaded adapter loses what bfloat16 cannot hold.
    """
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data = values[name].to(parameter.device)


def save(model: Any, folder: Path, pin: Pin) -> Path:
    """Write adapter_config.json and adapter_model.safetensors of a peft model, without anything that differs between equal trainings."""
    model.save_pretrained(folder, save_embedding_layers=False)
    path = folder / CONFIG
    path.write_text(
        json.dumps(clean_config(json.loads(path.read_text()), pin), indent=2) + "\n", encoding="utf-8"
    )
    return folder


def clean_config(config: Mapping[str, Any], pin: Pin) -> dict[str, Any]:
    """peft's configuration with the base model as the pin names it, members and lists of names in order (peft keeps sets)."""
    cleaned = {name: sorted(value) if isinstance(value, list) else value for name, value in config.items()}
    cleaned |= {"base_model_name_or_path": pin.uri, "revision": pin.revision, "inference_mode": True}
    return dict(sorted(cleaned.items()))


def weights(model: Any) -> dict[str, torch.Tensor]:
    """The adapter's tensors under the names of its file."""
    from peft import get_peft_model_state_dict

    found: dict[str, torch.Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}


def load(model: Any, path: Path) -> None:
    """Load tensors of an adapter file into a peft model. Raises BadRequest if they do not fit."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    own, tensors = weights(model), load_file(path)
    found = [
        Problem(name, "is in one of the two adapters only") for name in sorted(own.keys() ^ tensors.keys())
    ]
    found += [
        Problem(name, f"has shape {tuple(tensor.shape)}, not {tuple(own[name].shape)}")
        for name, tensor in tensors.items()
        if name in own and own[name].shape != tensor.shape
    ]
    if found:
        raise BadRequest(
            f"the adapter to start from has other tensors than the one to train ({len(found)} differ)",
            reason="AdapterDoesNotFit",
            problems=found[:10],
            remedy="train with the same loraR, loraTargetModules, useDora and loraModulesToSave as the run in training.from",
        )
    set_peft_model_state_dict(model, tensors)


def differences(own: Mapping[str, Any], other: Mapping[str, Any]) -> list[Problem]:
    """What two adapter configurations say differently about the adapter's shape and scale."""

    def plain(value: Any) -> Any:
        return sorted(value) if isinstance(value, list | set | tuple) else value

    return [
        Problem(
            f"adapter_config.json: {name}",
            f"is {plain(other.get(name))!r} there and {plain(own.get(name))!r} here",
        )
        for name in _SHAPE
        if plain(own.get(name)) != plain(other.get(name))
    ]
