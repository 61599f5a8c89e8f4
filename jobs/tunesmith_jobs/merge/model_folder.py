"""The files next to the weights that serving needs: config, index, tokenizer, chat template, license."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.errors import BadData
from tunesmith_jobs.base.needed_files import CONFIG, is_weights, needed_files
from tunesmith_jobs.merge.layout import MergeLayout
from tunesmith_jobs.merge.weights import INDEX

CARD = "README.md"


def copied_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and place of the base's files that are copied byte for byte."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    for name in needed_files(folder.name, names):
        if not is_weights(name) and name not in (CONFIG, INDEX, CARD):
            yield name, folder / name


def read_config(folder: Path, name: str = CONFIG) -> dict[str, Any]:
    """The JSON object in a file. Raises BadData if there is none."""
    try:
        config = json.loads((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        raise BadData(f"{name} cannot be read: {error}", reason="BadConfig") from error
    if not isinstance(config, dict):
        raise BadData(f"{name} does not hold a JSON object", reason="BadConfig")
    return config


def merged_config(original: bytes, *, dtype: str, untied: bool) -> bytes:
    """The base's config.json for the merged weights. These are the same bytes if nothing in it has to change.

    `dtype`: `auto`, or the type that the weights were converted to.
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


def index(layout: MergeLayout) -> bytes | None:
    """The index of the shards, or None for a single file."""
    if len(layout.shards) == 1:
        return None
    size = sum(tensor.size for shard in layout.shards for tensor in shard.tensors)
    file_of = {tensor.name: shard.file for shard in layout.shards for tensor in shard.tensors}
    return _json({"metadata": {"total_size": size}, "weight_map": dict(sorted(file_of.items()))})


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
