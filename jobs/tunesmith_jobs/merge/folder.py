"""What lies beside the weights, so that the folder serves as it is: config, index, tokenizer, chat template, licence."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.errors import BadData
from tunesmith_jobs.base.choose import CONFIG, choose, is_weights
from tunesmith_jobs.merge.files import INDEX, ITEM_BYTES
from tunesmith_jobs.merge.plan import Plan

CARD = "README.md"


def beside(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and place of the base's files that are taken over byte for byte."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    for name in choose(folder.name, names):
        if not is_weights(name) and name not in (CONFIG, INDEX, CARD):
            yield name, folder / name


def read_config(folder: Path, name: str = CONFIG) -> dict[str, Any]:
    """A JSON object in a file. Raises BadData if it is none."""
    try:
        config = json.loads((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        raise BadData(f"{name} cannot be read: {error}", reason="BadConfig") from error
    if not isinstance(config, dict):
        raise BadData(f"{name} holds no JSON object", reason="BadConfig")
    return config


def merged_config(original: bytes, *, dtype: str, untied: bool) -> bytes:
    """The base's config.json for the merged weights. `dtype`: `auto` or the type they were converted to.

    The same bytes if nothing in it is concerned.
    """
    if dtype == "auto" and not untied:
        return original
    config = json.loads(original)
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    if untied:
        config["tie_word_embeddings"] = False
        for part in parts:
            if "tie_word_embeddings" in part:
                part["tie_word_embeddings"] = False
    if dtype != "auto":
        if not {"dtype", "torch_dtype"} & config.keys():
            config["dtype"] = dtype
        for part in parts:
            part.update({name: dtype for name in ("dtype", "torch_dtype") if name in part})
    return _json(config)


def index(plan: Plan) -> bytes | None:
    """The index of the shards, or None for a single file."""
    if len(plan.shards) == 1:
        return None
    outputs = [output for shard in plan.shards for output in shard.outputs]
    size = sum(math.prod(output.shape) * ITEM_BYTES[output.dtype] for output in outputs)
    where = {output.name: shard.file for shard in plan.shards for output in shard.outputs}
    return _json({"metadata": {"total_size": size}, "weight_map": dict(sorted(where.items()))})


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
