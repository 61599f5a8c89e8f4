"""Which files of a base model hold its weights, and which tensors are in them."""

import json
from collections.abc import Mapping
from pathlib import Path

from tunesmith.errors import BadData, BadRequest
from tunesmith_jobs.merge.tensors import Tensor, read_tensors

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".gguf", ".h5", ".safetensors")


def read_base(folder: Path) -> Mapping[str, dict[str, Tensor]]:
    """All weights of a model folder: file name -> its tensors. Raises BadData if a tensor is in two files."""
    files = {path.name: read_tensors(path) for path in weight_files(folder)}
    file_of: dict[str, str] = {}
    for file, tensors in files.items():
        for name in tensors:
            if name in file_of:
                raise BadData(
                    f"{name} is in {file_of[name]} and in {file} of the base model", reason="BadWeights"
                )
            file_of[name] = file
    return files


def weight_files(folder: Path) -> list[Path]:
    """The files with a model's weights, sorted by name.

    Raises BadData and BadRequest if they cannot be used.
    """
    if (folder / INDEX).exists():
        return _indexed(folder)
    if (folder / SINGLE).exists():
        return [folder / SINGLE]
    others = sorted(path.name for path in folder.iterdir() if path.suffix in _OTHER_WEIGHTS)
    raise BadRequest(
        f"the base model has neither {SINGLE} nor {INDEX}"
        + (f", only {', '.join(others[:5])}" if others else ""),
        reason="UnsupportedWeights",
        remedy="convert it once with transformers (`save_pretrained`), which writes safetensors;"
        " pickled weights are never loaded",
    )


def _indexed(folder: Path) -> list[Path]:
    try:
        names = set(json.loads((folder / INDEX).read_bytes())["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{INDEX} of the base model cannot be read: {error}", reason="BadWeights") from error
    paths = [folder / name for name in sorted(names)]
    missing = [path.name for path in paths if not path.is_file() or path.parent != folder]
    if missing:
        raise BadData(
            f"{INDEX} of the base model names files that are not there: {', '.join(missing[:5])}",
            reason="BadWeights",
        )
    return paths
