"""What a PEFT LoRA adapter changes in its base model. Whatever cannot be merged exactly is refused, by name.

Formulas and key names are PEFT's (`peft/tuners/lora/layer.py`, `variants.py`): `W + scale * B A`, with scale
`alpha / r`, or `alpha / sqrt(r)` for rank-stabilised LoRA; DoRA gives each output row the length of its
magnitude vector.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.errors import BadData, BadRequest, Problem
from tunesmith_jobs.merge.tensors import Tensor

_PREFIX = "base_model.model."
_FLOATS = ("F32", "F16", "BF16")
_PARTS = re.compile(
    r"(?P<module>.+)\."
    r"(?P<part>lora_A\.weight|lora_B\.weight|lora_B\.bias|lora_embedding_[AB]|lora_magnitude_vector)"
    r"(\.weight)?"
)

_REFUSED = {  # field of an adapter's config that this merge cannot do exactly -> what it is
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
_PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal")
"""Initialisations that leave the base model as it is."""


@dataclass(frozen=True, slots=True)
class LowRank:
    """An update `scale * B A`.

    `a`: (r, in), `b`: (out, r). `magnitude`: (out,), which DoRA makes the lengths of the rows.
    """

    a: Tensor
    b: Tensor
    scale: float
    embedding: bool
    magnitude: Tensor | None


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one tensor.

    First `replacement` takes its place, then `low_rank` or `added` (a vector and its scale) is added.
    """

    name: str  # of the tensor, in the model that was trained
    replacement: Tensor | None = None
    low_rank: LowRank | None = None
    added: tuple[Tensor, float] | None = None


def read_adapter(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Change]:
    """The changes by the name of the tensor they change. Every tensor of the adapter is used.

    Raises BadRequest for kinds of adapters that are refused, and BadData for an adapter that is not whole.
    """
    if problems := list(_refusals(config)):
        raise BadRequest(
            "this adapter cannot be merged exactly", reason="UnsupportedAdapter", problems=problems
        )
    if not tensors:
        raise BadData("the adapter is empty", reason="BrokenAdapter", remedy="train again")
    modules, replacements = _sorted(tensors)
    changes = {name: Change(name, replacement=tensor) for name, tensor in replacements.items()}
    problems = []
    for module, parts in modules.items():
        try:
            for change in _module(module, parts, config):
                before = changes.get(change.name)
                changes[change.name] = replace(change, replacement=before.replacement if before else None)
        except ValueError as error:
            problems.append(Problem(module, str(error)))
    if problems:
        raise BadData(
            "the adapter is not whole", reason="BrokenAdapter", problems=problems, remedy="train again"
        )
    return changes


def _sorted(tensors: Mapping[str, Tensor]) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """The parts of each adapted module, and the tensors that replace one of the base.

    Raises BadData for others.
    """
    modules: dict[str, dict[str, Tensor]] = {}
    replacements: dict[str, Tensor] = {}
    problems: list[Problem] = []
    for key, tensor in tensors.items():
        name = key.removeprefix(_PREFIX)
        match = _PARTS.fullmatch(name)
        unknown = not key.startswith(_PREFIX) or (match is None and ".lora_" in name)
        if unknown or tensor.dtype not in _FLOATS:
            why = f"it is not known what to do with this tensor ({tensor.dtype}, {list(tensor.shape)})"
            problems.append(Problem(key, why))
        elif match:
            modules.setdefault(match["module"], {})[match["part"]] = tensor
        else:
            replacements[name.replace(".base_layer.", ".")] = tensor
    if problems:
        raise BadData(
            "the adapter has tensors that would be lost in a merge",
            reason="UnusedAdapterKeys",
            problems=problems,
        )
    return modules, replacements


def _refusals(config: Mapping[str, Any]) -> Iterator[Problem]:
    if config.get("peft_type") != "LORA":
        yield Problem("peft_type", "is not LORA", config.get("peft_type"))
    for field, what in _REFUSED.items():
        if config.get(field) not in (None, False, [], {}):
            yield Problem(field, f"{what} cannot be merged", config[field], "train without it")
    if isinstance(config.get("lora_alpha"), bool) or not isinstance(config.get("lora_alpha"), int | float):
        yield Problem("lora_alpha", "is not a number", config.get("lora_alpha"))
    start = config.get("init_lora_weights", True)
    if start not in _PLAIN_STARTS:
        yield Problem(
            "init_lora_weights",
            "this start changes the base model itself",
            start,
            "train from the default initialisation",
        )


def _module(module: str, parts: Mapping[str, Tensor], config: Mapping[str, Any]) -> Iterator[Change]:
    """The changes of one adapted module. Raises ValueError if its parts do not fit together."""
    low_rank = _low_rank(module, parts, config)
    yield Change(f"{module}.weight", low_rank=low_rank)
    bias = parts.get("lora_B.bias")
    if bias is not None:
        yield Change(f"{module}.bias", added=(bias, low_rank.scale))


def _low_rank(module: str, parts: Mapping[str, Tensor], config: Mapping[str, Any]) -> LowRank:
    embedding = "lora_embedding_A" in parts or "lora_embedding_B" in parts
    names = ("lora_embedding_A", "lora_embedding_B") if embedding else ("lora_A.weight", "lora_B.weight")
    if missing := [name for name in names if name not in parts]:
        raise ValueError(f"{' and '.join(missing)} missing")
    a, b = (parts[name] for name in names)
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1]:
        raise ValueError(
            f"A {list(a.shape)} and B {list(b.shape)} do not multiply"
            " (only linear layers and embeddings can be merged)"
        )
    rank = a.shape[0]
    expected = _by_pattern(config.get("rank_pattern"), module, config.get("r"))
    if rank != expected:
        raise ValueError(f"has rank {rank}, its config says {expected}")
    alpha = _by_pattern(config.get("alpha_pattern"), module, config["lora_alpha"])
    magnitude = parts.get("lora_magnitude_vector")
    _check_magnitude(magnitude, rows=b.shape[0], embedding=embedding, dora=bool(config.get("use_dora")))
    return LowRank(
        a,
        b,
        scale=alpha / (math.sqrt(rank) if config.get("use_rslora") else rank),
        embedding=embedding,
        magnitude=magnitude,
    )


def _check_magnitude(magnitude: Tensor | None, *, rows: int, embedding: bool, dora: bool) -> None:
    """Raise ValueError if a module's magnitude vector is not the one that its config asks for."""
    if magnitude is None:
        if dora and not embedding:
            raise ValueError("its magnitude vector is missing")
        return
    if embedding:
        raise ValueError("DoRA on an embedding cannot be merged in one pass")
    if magnitude.elements != rows:
        raise ValueError(f"its magnitude vector has {magnitude.elements} entries for {rows} rows")
    if not dora:
        raise ValueError("has a magnitude vector, but its config does not ask for DoRA")


def _by_pattern(patterns: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """The value of the first pattern that matches the end of a module's name, which is PEFT's rule."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
