"""Base + adapter + settings -> the files of the merged model, and where each of their tensors comes from.

Pure.

Files, names and order are those of the base. There is one exception: if the output head shares the
embedding's tensor and the adapter changes one of the two, both are stored, because the other one was not
trained.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Merge
from tunesmith_jobs.base.safetensors_format import ITEM_BYTES
from tunesmith_jobs.merge.adapter import Change
from tunesmith_jobs.merge.names import by_base_names, tied_names
from tunesmith_jobs.merge.tensors import Tensor, header

Files = Mapping[str, Mapping[str, Tensor]]
"""The tensors by their names, by the name of their file."""
DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_ARITHMETIC = ("F32", "F16", "BF16")
_MOST_PROBLEMS = 20  # in one message


@dataclass(frozen=True, slots=True)
class MergedTensor:
    """One tensor of the merged model: the data of `source`, with `change` applied."""

    name: str
    dtype: str
    source: Tensor
    change: Change | None = None
    stochastic: bool = False
    transposed: bool = False  # stored as (in, out), as in GPT-2, unlike its low-rank update

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return self.source.shape

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]

    @property
    def copied(self) -> bool:
        """Whether its bytes are the source's."""
        return self.change is None and self.dtype == self.source.dtype


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of the merged model."""

    file: str
    tensors: tuple[MergedTensor, ...]

    @property
    def header(self) -> bytes:
        """The file up to its data."""
        return header((tensor.name, tensor.dtype, tensor.shape) for tensor in self.tensors)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.header) + sum(tensor.size for tensor in self.tensors)


@dataclass(frozen=True, slots=True)
class MergeLayout:
    """All files to write.

    `untied`: the output head no longer shares the embedding's tensor, which the config must say.
    """

    shards: tuple[Shard, ...]
    untied: bool


def lay_out(
    files: Files,
    config: Mapping[str, Any],
    changes: Mapping[str, Change],
    settings: Merge,
    *,
    square_transposed: bool,
) -> MergeLayout:
    """The files to write.

    `square_transposed`: whether adapted square matrices are stored as (in, out), which their shape does not
    tell.

    Raises BadRequest, with every problem, if the adapter is for another model or the settings cannot be met
    exactly.
    """
    if config.get("quantization_config"):
        raise BadRequest(
            "the base model is quantised; an adapter is merged into original weights only",
            reason="QuantisedBase",
            remedy="name the original model as model.base; it is quantised while training all the same",
        )
    base = {name: tensor for file in files.values() for name, tensor in file.items()}
    tied = tied_names(base, config)
    changes = by_base_names(changes, base, tied)
    merged = {
        name: MergedTensor(name, tensor.dtype, tensor, changes.get(name)) for name, tensor in base.items()
    }
    untied = tied is not None and any(name in changes for name in tied)
    if tied is not None and untied:
        embedding, head = tied
        merged[head] = MergedTensor(head, base[embedding].dtype, base[embedding], changes.get(head))
    merged = _all_settled(merged, settings, square_transposed=square_transposed)
    shards = [Shard(file, tuple(merged.pop(name) for name in names)) for file, names in files.items()]
    last = shards[-1]
    shards[-1] = Shard(
        last.file, (*last.tensors, *merged.values())
    )  # an output head that the base does not store
    return MergeLayout(tuple(shards), untied)


def _all_settled(
    tensors: Mapping[str, MergedTensor], settings: Merge, *, square_transposed: bool
) -> dict[str, MergedTensor]:
    settled: dict[str, MergedTensor] = {}
    problems: list[Problem] = []
    for name, tensor in tensors.items():
        try:
            settled[name] = _settled(tensor, settings, square_transposed=square_transposed)
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    if problems:
        raise BadRequest(
            "base model, adapter and merge settings do not fit",
            reason="AdapterMismatch",
            problems=problems[:_MOST_PROBLEMS],
        )
    return settled


def _settled(tensor: MergedTensor, settings: Merge, *, square_transposed: bool) -> MergedTensor:
    """The tensor with its type, rounding and orientation. Raises ValueError if it cannot be merged."""
    if tensor.source.dtype.startswith("F8"):
        raise ValueError(f"is stored as {tensor.source.dtype}, which is quantised")
    tensor = _replaced(replace(tensor, dtype=_dtype(tensor.source.dtype, settings)))
    if tensor.copied:
        return tensor
    change = tensor.change
    if change is not None and change.low_rank is None and change.added is None:
        tensor = replace(tensor, change=None)  # its replacement is the source now
    source, dtype = tensor.source.dtype, tensor.dtype
    if source not in _ARITHMETIC or dtype not in _ARITHMETIC:
        raise ValueError(f"is {source}; only {', '.join(_ARITHMETIC)} can be merged or converted exactly")
    rounded = tensor.change is not None or dtype != source
    if settings.rounding == "stochastic" and dtype != "BF16" and rounded:
        raise ValueError(
            f"would be {dtype}; stochastic rounding is for bfloat16 (merge.dtype),"
            " others lose under 1 % to `nearest`"
        )
    return replace(
        tensor,
        stochastic=dtype == "BF16" and settings.rounding != "nearest",
        transposed=_transposed(tensor, square_transposed=square_transposed),
    )


def _dtype(stored: str, settings: Merge) -> str:
    """The type that a tensor gets. Whole numbers keep their type."""
    if settings.dtype != "auto" and stored in (*_ARITHMETIC, "F64"):
        return DTYPES[settings.dtype]
    return stored


def _replaced(tensor: MergedTensor) -> MergedTensor:
    """The tensor with the adapter's replacement as its source, if there is one."""
    if tensor.change is None or tensor.change.replacement is None:
        return tensor
    replacement = tensor.change.replacement
    if replacement.shape != tensor.shape:
        raise ValueError(f"has the shape {list(tensor.shape)}, its replacement {list(replacement.shape)}")
    return replace(tensor, source=replacement)


def _transposed(tensor: MergedTensor, *, square_transposed: bool) -> bool:
    """Whether the stored matrix is B A transposed. Raises ValueError if the shapes do not fit either way."""
    change = tensor.change
    if change is None:
        return False
    if change.added is not None:
        vector, _ = change.added
        if vector.shape != tensor.shape:
            raise ValueError(f"has the shape {list(tensor.shape)}, what is added {list(vector.shape)}")
        return False
    low_rank = change.low_rank
    assert low_rank is not None
    straight = (low_rank.b.shape[0], low_rank.a.shape[1])
    fits = tensor.shape == straight
    fits_turned = tensor.shape == straight[::-1]
    turned = fits_turned and (low_rank.embedding or not fits or square_transposed)
    if not turned and (not fits or low_rank.embedding):
        raise ValueError(f"has the shape {list(tensor.shape)}, the adapter's update {list(straight)}")
    if turned and low_rank.magnitude is not None:
        raise ValueError("DoRA on a transposed layer cannot be merged in one pass")
    return turned
