"""What a PEFT LoRA adapter changes in its base model. Whatever cannot be merged exactly is refused, by name.

Formulas and key names are PEFT's (`peft/tuners/lora/layer.py`, `variants.py`): `W + scale * B A`, with scale `alpha / r`, or
`alpha / sqrt(r)` for rank-stabilised LoRA; DoRA gives each output row the length of its magnitude vector.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.errors import BadData, BadRequest, Problem
from tunesmith_jobs.merge.files import Tensor

_PREFIX = "base_model.model."
_FLOATS = ("F32", "F16", "BF16")
_PARTS = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A\.weight|lora_B\.weight|lora_B\.bias|lora_embedding_[AB]|lora_magnitude_vector)(\.weight)?"
)

# What an adapter may say in its config that this merge does not do exactly: field -> what it is.
_REFUSED = {
    "trainable_token_indices": "single trained tokens",
    "target_parameters": "adapters on bare parameters (experts of a mixture)",
    "alora_invocation_tokens": "aLoRA, which is active in a part of the text only",
    "use_qalora": "QALoRA",
    "use_bdlora": "block-diagonal LoRA",
    "arrow_config": "Arrow routing",
    "velora_config": "VeLoRA",
    "monteclora_config": "MonteCLoRA",
    "kasa_config": "KaSA",
    "layer_replication": "replicated layers",
    "megatron_config": "Megatron layers",
    "ensure_weight_tying": "adapters tied between embeddings",
}
_PLAIN_STARTS = (
    True,
    False,
    None,
    "gaussian",
    "orthogonal",
)  # initialisations that leave the base model as it is


@dataclass(frozen=True, slots=True)
class LowRank:
    """An update `scale * B A`. `a`: (r, in), `b`: (out, r). `magnitude`: (out,), DoRA's length of each row of the result."""

    a: Tensor
    b: Tensor
    scale: float
    embedding: bool
    magnitude: Tensor | None


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one tensor: first `replacement` takes its place, then `low_rank` or `added` (a vector times scale) is added."""

    name: str  # of the tensor, in the model that was trained
    replacement: Tensor | None = None
    low_rank: LowRank | None = None
    added: tuple[Tensor, float] | None = None


def read_adapter(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Change]:
    """The changes by the name of the tensor they change. Every tensor of the adapter is used.

    Raises BadRequest for kinds of adapters that are refused, BadData for an adapter that is not whole.
    """
    if problems := list(_refusals(config)):
        raise BadRequest(
            "this adapter cannot be merged exactly", reason="UnsupportedAdapter", problems=problems
        )
    if not tensors:
        raise BadData("the adapter is empty", reason="BrokenAdapter", remedy="train again")
    modules: dict[str, dict[str, Tensor]] = {}
    replaced: dict[str, Tensor] = {}
    unknown: list[Problem] = []
    for key, tensor in tensors.items():
        rest = key.removeprefix(_PREFIX)
        found = _PARTS.fullmatch(rest)
        if not key.startswith(_PREFIX) or (found is None and ".lora_" in rest) or tensor.dtype not in _FLOATS:
            unknown.append(
                Problem(
                    key, f"nothing is known to do with this tensor ({tensor.dtype}, {list(tensor.shape)})"
                )
            )
        elif found:
            modules.setdefault(found["module"], {})[found["part"]] = tensor
        else:
            replaced[rest.replace(".base_layer.", ".")] = tensor
    if unknown:
        raise BadData(
            "the adapter has tensors that would be lost in a merge",
            reason="UnusedAdapterKeys",
            problems=unknown,
        )
    changes = {name: Change(name, replacement=tensor) for name, tensor in replaced.items()}
    broken: list[Problem] = []
    for module, parts in modules.items():
        try:
            for name, part in _module(module, parts, config):
                changes[name] = Change(
                    name, changes[name].replacement if name in changes else None, part.low_rank, part.added
                )
        except ValueError as error:
            broken.append(Problem(module, str(error)))
    if broken:
        raise BadData(
            "the adapter is not whole", reason="BrokenAdapter", problems=broken, remedy="train again"
        )
    return changes


def _refusals(config: Mapping[str, Any]) -> Iterator[Problem]:
    if config.get("peft_type") != "LORA":
        yield Problem("peft_type", "is not LORA", config.get("peft_type"))
    for field, what in _REFUSED.items():
        if config.get(field) not in (None, False, [], {}):
            yield Problem(field, f"{what} cannot be merged", config[field], "train without it")
    start = config.get("init_lora_weights", True)
    if isinstance(config.get("lora_alpha"), bool) or not isinstance(config.get("lora_alpha"), int | float):
        yield Problem("lora_alpha", "is not a number", config.get("lora_alpha"))
    if start not in _PLAIN_STARTS:
        yield Problem(
            "init_lora_weights",
            "this start changes the base model itself",
            start,
            "train from the default initialisation",
        )


def _module(
    module: str, parts: Mapping[str, Tensor], config: Mapping[str, Any]
) -> Iterator[tuple[str, Change]]:
    """The changes of one adapted module. Raises ValueError with what is wrong about it."""
    embedding = "lora_embedding_A" in parts or "lora_embedding_B" in parts
    a_name, b_name = (
        ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A.weight", "lora_B.weight")
    )
    if missing := [name for name in (a_name, b_name) if name not in parts]:
        raise ValueError(f"{' and '.join(missing)} missing")
    a, b = parts[a_name], parts[b_name]
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1]:
        raise ValueError(
            f"A {list(a.shape)} and B {list(b.shape)} do not multiply (only linear layers and embeddings can be merged)"
        )
    rank = a.shape[0]
    if rank != (said := _by_pattern(config.get("rank_pattern"), module, config.get("r"))):
        raise ValueError(f"has rank {rank}, its config says {said}")
    alpha = _by_pattern(config.get("alpha_pattern"), module, config["lora_alpha"])
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    magnitude = parts.get("lora_magnitude_vector")
    if magnitude is not None and embedding:
        raise ValueError("DoRA on an embedding cannot be merged in one pass")
    if magnitude is not None and magnitude.elements != b.shape[0]:
        raise ValueError(f"its magnitude vector has {magnitude.elements} entries for {b.shape[0]} rows")
    if bool(config.get("use_dora")) != (magnitude is not None) and not embedding:
        raise ValueError(
            "its magnitude vector is missing"
            if magnitude is None
            else "has a magnitude vector, its config says no DoRA"
        )
    yield f"{module}.weight", Change(f"{module}.weight", low_rank=LowRank(a, b, scale, embedding, magnitude))
    if (bias := parts.get("lora_B.bias")) is not None:
        yield f"{module}.bias", Change(f"{module}.bias", added=(bias, scale))


def _by_pattern(patterns: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """PEFT's rule: the first pattern that matches the end of a module's name."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
