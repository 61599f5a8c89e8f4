"""Which tensor of the base model a change of the adapter belongs to. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.errors import BadRequest, Problem
from tunesmith_jobs.merge.adapter import Change
from tunesmith_jobs.merge.tensors import Tensor

_EMBEDDINGS = (
    "embed_tokens.weight",
    "wte.weight",
    "embed_in.weight",
    "word_embeddings.weight",
    "tok_embeddings.weight",
)
_HEADS = ("lm_head.weight", "embed_out.weight")
_MOST_PROBLEMS = 20  # in one message
_LEAST_COMMON_PARTS = 3  # at the end of two names, before one is taken for the other


def tied_names(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> tuple[str, str] | None:
    """The names of embedding and output head, if they share one tensor."""
    heads = [name for name in tensors if name.endswith(_HEADS)]
    embeddings = [name for name in tensors if name.endswith(_EMBEDDINGS)]
    tied = config.get("tie_word_embeddings", config.get("text_config", {}).get("tie_word_embeddings"))
    if tied is False or (heads and not tied) or len(embeddings) != 1:
        return None
    return embeddings[0], heads[0] if heads else "lm_head.weight"


def by_base_names(
    changes: Mapping[str, Change], tensors: Mapping[str, Tensor], tied: tuple[str, str] | None
) -> dict[str, Change]:
    """The changes by the names that the base's files have.

    Raises BadRequest if the adapter is for another model.

    A checkpoint may lack the model's first prefix (`h.0.…` for `transformer.h.0.…`), or have another one.
    That is accepted if exactly one other prefix gives every change its tensor.
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
    raise BadRequest(
        f"the adapter is for another model: {len(missing)} of the {len(changes)} weights it changes"
        " are not in the base model",
        reason="AdapterMismatch",
        remedy="merge into the model and revision that the adapter was trained on",
        problems=[
            Problem(name, "the adapter changes it, the base model does not have it")
            for name in missing[:_MOST_PROBLEMS]
        ],
    )


def _prefixes(name: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Pairs (old prefix, new prefix) that turn `name` into a tensor's name and keep its last parts."""
    parts = name.split(".")
    for tensor in tensors:
        others = tensor.split(".")
        same = _common_end(parts, others)
        if same >= _LEAST_COMMON_PARTS:
            yield _prefix(parts, same), _prefix(others, same)


def _common_end(parts: list[str], others: list[str]) -> int:
    """How many parts at the end of two names are the same."""
    same = 0
    for part, other in zip(reversed(parts), reversed(others), strict=False):
        if part != other:
            break
        same += 1
    return same


def _prefix(parts: list[str], kept: int) -> str:
    """All parts but the last `kept`, with the dot that follows them."""
    return "".join(f"{part}." for part in parts[: len(parts) - kept])
