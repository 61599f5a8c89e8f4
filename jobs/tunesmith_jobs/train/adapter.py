"""The adapter: float32 from its first step to its file, and the same bytes from the same training."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunesmith.errors import BadRequest, Problem
from tunesmith.manifest import Pin

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_SHAPE = ("r", "lora_alpha", "target_modules", "use_dora", "use_rslora", "bias", "modules_to_save")
_SHOWN = 10  # problems at most


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

    trl casts the adapter of a quantised model to bfloat16 when the trainer is built. With small learning
    rates half of it would then never move, and a loaded adapter would lose what bfloat16 cannot hold.
    """
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data = values[name].to(parameter.device)


def save(model: Any, folder: Path, pin: Pin) -> Path:
    """Write a peft model's configuration and weights, without what differs between equal trainings."""
    model.save_pretrained(folder, save_embedding_layers=False)
    path = folder / CONFIG
    config = clean_config(json.loads(path.read_text()), pin)
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return folder


def clean_config(config: Mapping[str, Any], pin: Pin) -> dict[str, Any]:
    """peft's configuration with the base model as the pin names it.

    Members and lists of names are in order, since peft keeps sets.
    """
    cleaned = {name: sorted(value) if isinstance(value, list) else value for name, value in config.items()}
    cleaned |= {"base_model_name_or_path": pin.uri, "revision": pin.revision, "inference_mode": True}
    return dict(sorted(cleaned.items()))


def weights(model: Any) -> dict[str, torch.Tensor]:
    """The adapter's tensors under the names of its file."""
    from peft import get_peft_model_state_dict

    tensors: dict[str, torch.Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def load(model: Any, path: Path) -> None:
    """Load the tensors of an adapter file into a peft model. Raises BadRequest if they do not fit."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    tensors = load_file(path)
    problems = list(_misfits(weights(model), tensors))
    if problems:
        raise BadRequest(
            f"the adapter to start from has other tensors than the one to train ({len(problems)} differ)",
            reason="AdapterDoesNotFit",
            problems=problems[:_SHOWN],
            remedy="train with the same loraR, loraTargetModules, useDora and loraModulesToSave "
            "as the run in training.from",
        )
    set_peft_model_state_dict(model, tensors)


def _misfits(expected: Mapping[str, torch.Tensor], loaded: Mapping[str, torch.Tensor]) -> Iterator[Problem]:
    for name in sorted(expected.keys() ^ loaded.keys()):
        yield Problem(name, "is in one of the two adapters only")
    for name, tensor in loaded.items():
        if name in expected and expected[name].shape != tensor.shape:
            yield Problem(name, f"has shape {tuple(tensor.shape)}, not {tuple(expected[name].shape)}")


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Problem]:
    """Where two adapter configurations differ in the adapter's shape and scale.

    `theirs`: the one to start from.
    """
    problems = []
    for name in _SHAPE:
        here, there = _plain(ours.get(name)), _plain(theirs.get(name))
        if here != there:
            problems.append(Problem(f"{CONFIG}: {name}", f"is {there!r} there and {here!r} here"))
    return problems


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list | set | tuple) else value
