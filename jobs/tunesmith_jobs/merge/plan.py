"""Base + adapter + settings -> the shards of the merged model. Pure, but for what is in the headers.

Files, names and order are the base's own. The one exception: a model whose output head shares the embedding's tensor stores both as
soon as one of them changes, for an adapter on one never was on the other.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Merge
from tunesmith_jobs.merge.adapter import Change
from tunesmith_jobs.merge.files import ITEM_BYTES, Tensor, header

Files = Mapping[str, Mapping[str, Tensor]]  # file name -> its tensors by name
DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_ARITHMETIC = ("F32", "F16", "BF16")
_INPUT = (
    "embed_tokens.weight",
    "wte.weight",
    "embed_in.weight",
    "word_embeddings.weight",
    "tok_embeddings.weight",
)
_HEAD = ("lm_head.weight", "embed_out.weight")


@dataclass(frozen=True, slots=True)
class Output:
    """One tensor of the merged model. `source`: where its data start from, before `change`."""

    name: str
    dtype: str
    source: Tensor
    change: Change | None = None
    stochastic: bool = False
    transposed: bool = False  # its low-rank update is stored (in, out), as in GPT-2

    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions, those of the source."""
        return self.source.shape

    @property
    def copied(self) -> bool:
        """Whether its bytes are the source's."""
        return self.change is None and self.dtype == self.source.dtype


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of the merged model."""

    file: str
    outputs: tuple[Output, ...]

    @property
    def header(self) -> bytes:
        """The file up to its data."""
        return header((output.name, output.dtype, output.shape) for output in self.outputs)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.header) + sum(
            math.prod(output.shape) * ITEM_BYTES[output.dtype] for output in self.outputs
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """All files to write. `untied`: the output head no longer shares the embedding's tensor, and the config must say so."""

    shards: tuple[Shard, ...]
    untied: bool


def plan(
    files: Files,
    config: Mapping[str, Any],
    changes: Mapping[str, Change],
    settings: Merge,
    *,
    square_transposed: bool,
) -> Plan:
    """What to write. `square_transposed`: whether adapted square matrices are stored (in, out), which their shape can't tell.

    Raises BadRequest, with every problem, if the adapter is for another model or the settings can't be met exactly.
    """
    if config.get("quantization_config"):
        raise BadRequest(
            "the base model is quantised; an adapter is merged into original weights only",
            reason="QuantisedBase",
            remedy="name the original model as model.base; it is quantised while training all the same",
        )
    tensors = {name: tensor for file in files.values() for name, tensor in file.items()}
    tied = _tied(tensors, config)
    renamed = _renamed(changes, tensors, tied)
    outputs = {
        name: Output(name, tensor.dtype, tensor, renamed.get(name)) for name, tensor in tensors.items()
    }
    untied = False
    if tied and any(name in renamed for name in tied):
        embedding, head = tied
        untied = True
        outputs[head] = Output(head, tensors[embedding].dtype, tensors[embedding], renamed.get(head))
    problems: list[Problem] = []
    for name, output in outputs.items():
        try:
            outputs[name] = _settled(output, settings, square_transposed=square_transposed)
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    if problems:
        raise BadRequest(
            "base model, adapter and merge settings do not fit",
            reason="AdapterMismatch",
            problems=problems[:20],
        )
    shards = [Shard(file, tuple(outputs.pop(name) for name in names)) for file, names in files.items()]
    shards[-1] = Shard(shards[-1].file, (*shards[-1].outputs, *outputs.values()))
    return Plan(tuple(shards), untied)


def _settled(output: Output, settings: Merge, *, square_transposed: bool) -> Output:
    """The output with its type, rounding and orientation. Raises ValueError with what is in the way."""
    source, change = output.source, output.change
    if source.dtype.startswith("F8"):
        raise ValueError(f"is stored as {source.dtype}, which is quantised")
    dtype = source.dtype
    if settings.dtype != "auto" and dtype in (*_ARITHMETIC, "F64"):
        dtype = DTYPES[settings.dtype]
    if change is not None and change.replacement is not None:
        if change.replacement.shape != source.shape:
            raise ValueError(
                f"has the shape {list(source.shape)}, its replacement {list(change.replacement.shape)}"
            )
        source = change.replacement
    output = replace(output, dtype=dtype, source=source)
    if output.copied:
        return output
    if (
        change is not None and change.low_rank is None and change.added is None
    ):  # its replacement is the source now
        output = replace(output, change=None)
    if source.dtype not in _ARITHMETIC or dtype not in _ARITHMETIC:
        raise ValueError(
            f"is {source.dtype}; only {', '.join(_ARITHMETIC)} can be merged or converted exactly"
        )
    if settings.rounding == "stochastic" and dtype != "BF16" and (output.change or dtype != source.dtype):
        raise ValueError(
            f"would be {dtype}; stochastic rounding is for bfloat16 (merge.dtype), others lose under 1 % to `nearest`"
        )
    stochastic = dtype == "BF16" and settings.rounding != "nearest"
    return replace(
        output, stochastic=stochastic, transposed=_transposed(output, square_transposed=square_transposed)
    )


def _transposed(output: Output, *, square_transposed: bool) -> bool:
    """Whether the stored matrix is the transposed of B A. Raises ValueError if the shapes do not fit at all."""
    change = output.change
    if change is None:
        return False
    if change.added is not None:
        if change.added[0].shape != output.shape:
            raise ValueError(
                f"has the shape {list(output.shape)}, what is added {list(change.added[0].shape)}"
            )
        return False
    low_rank = change.low_rank
    assert low_rank is not None
    straight = (low_rank.b.shape[0], low_rank.a.shape[1])
    fits, fits_turned = output.shape == straight, output.shape == straight[::-1]
    turned = fits_turned and (low_rank.embedding or not fits or square_transposed)
    if not turned and (not fits or low_rank.embedding):
        raise ValueError(f"has the shape {list(output.shape)}, the adapter's update {list(straight)}")
    if turned and low_rank.magnitude is not None:
        raise ValueError("DoRA on a transposed layer cannot be merged in one pass")
    return turned


def _tied(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> tuple[str, str] | None:
    """Names of embedding and output head if they share one tensor."""
    heads = [name for name in tensors if name.endswith(_HEAD)]
    says = config.get("tie_word_embeddings", config.get("text_config", {}).get("tie_word_embeddings"))
    embeddings = [name for name in tensors if name.endswith(_INPUT)]
    if says is False or (heads and not says) or len(embeddings) != 1:
        return None
    return embeddings[0], heads[0] if heads else "lm_head.weight"


def _renamed(
    changes: Mapping[str, Change], tensors: Mapping[str, Tensor], tied: tuple[str, str] | None
) -> dict[str, Change]:
    """The changes by the names that the base's files have.

    A checkpoint may lack the model's first prefix (`h.0.…` for `transformer.h.0.…`), or have another one. That is followed if exactly
    one other prefix gives every change its tensor, and else refused.
    """
    known = {*tensors, *(tied or ())}
    missing = [name for name in changes if name not in known]
    if not missing:
        return dict(changes)
    fitting = []
    for old, new in sorted(set(_prefixes(missing[0], tensors))):
        names = {name: new + name.removeprefix(old) if name.startswith(old) else name for name in changes}
        if known.issuperset(names.values()) and len(set(names.values())) == len(names):
            fitting.append(names)
    if len(fitting) == 1 and not (tied and tied[1] in changes):
        return {name: changes[old] for old, name in fitting[0].items()}
    problems = [
        Problem(name, "the adapter changes it, the base model does not have it") for name in missing[:20]
    ]
    raise BadRequest(
        f"the adapter is for another model: {len(missing)} of the {len(changes)} weights it changes are not in the base model",
        reason="AdapterMismatch",
        remedy="merge into the model and revision that the adapter was trained on",
        problems=problems,
    )


def _prefixes(name: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Replacements (old prefix, new prefix) that turn `name` into a tensor's name, with at least the last two parts kept."""
    parts = name.split(".")
    for other in tensors:
        found = other.split(".")
        same = 0
        while same < min(len(parts), len(found)) and parts[-1 - same] == found[-1 - same]:
            same += 1
        if same > 2:
            yield (
                ".".join(parts[:-same]) + "." * (same < len(parts)),
                ".".join(found[:-same]) + "." * (same < len(found)),
            )
