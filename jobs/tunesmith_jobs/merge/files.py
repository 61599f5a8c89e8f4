"""Safetensors files: where each tensor lies, reading a part of one, and the header of a file to write.

The format: 8 bytes little-endian length of the header, the header (JSON: name -> dtype, shape, data_offsets), the data.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import BadData, BadRequest

ITEM_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
}
ITEM_BYTES |= {"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8}
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_HEADER_LIMIT = 100_000_000  # bytes, as in the reference implementation


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in a file. `start`: byte in the file at which its data begin, row by row."""

    name: str
    dtype: str  # as safetensors names it: "BF16"
    shape: tuple[int, ...]
    path: Path
    start: int

    @property
    def item(self) -> int:
        """Bytes of one element."""
        return ITEM_BYTES[self.dtype]

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, in the order of their data. Raises BadData if the file is no whole safetensors file."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_HEADER_LIMIT, size - 8):
                raise _broken(path, f"its header would be {length} bytes long")
            header = json.loads(file.read(length))
        entries = sorted(
            ((name, entry) for name, entry in header.items() if name != "__metadata__"),
            key=lambda item: item[1]["data_offsets"],
        )
        tensors = {}
        for name, entry in entries:
            first, end = entry["data_offsets"]
            tensor = Tensor(name, entry["dtype"], tuple(entry["shape"]), path, 8 + length + first)
            if tensor.dtype not in ITEM_BYTES:
                raise BadRequest(
                    f"{path.name}: {name} is of type {tensor.dtype}, which cannot be merged",
                    reason="UnsupportedWeights",
                )
            if tensor.elements * tensor.item != end - first or 8 + length + end > size:
                raise _broken(path, f"the data of {name} are not all there")
            tensors[name] = tensor
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, f"its header cannot be read ({type(error).__name__}: {error})") from error
    return tensors


def read_into(tensor: Tensor, first: int, view: memoryview) -> None:
    """Fill `view` (bytes) with the tensor's data from element `first` on."""
    _fill(tensor, first * tensor.item, view)


def read_columns(tensor: Tensor, first: int, end: int) -> bytearray:
    """Bytes of the columns `first` to `end` of a matrix, row after row."""
    rows, columns = tensor.shape
    width = (end - first) * tensor.item
    data = bytearray(rows * width)
    view = memoryview(data)
    for row in range(rows):
        _fill(tensor, (row * columns + first) * tensor.item, view[row * width : (row + 1) * width])
    return data


def _fill(tensor: Tensor, offset: int, view: memoryview) -> None:
    with tensor.path.open("rb", buffering=0) as file:
        position = tensor.start + offset
        while view:
            if not (got := os.preadv(file.fileno(), [view], position)):
                raise _broken(tensor.path, f"the data of {tensor.name} end too early")
            view, position = view[got:], position + got


def header(tensors: Iterable[tuple[str, str, tuple[int, ...]]]) -> bytes:
    """The beginning of a file with these tensors (name, dtype, shape) in this order, up to the first byte of data."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, dtype, shape in tensors:
        first, end = end, end + math.prod(shape) * ITEM_BYTES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [first, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a model's weights, in the order of their names. Raises BadRequest if there are none that can be used."""
    if (index := folder / INDEX).exists():
        try:
            names = set(json.loads(index.read_bytes())["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadData(
                f"{INDEX} of the base model cannot be read: {error}", reason="BadWeights"
            ) from error
        paths = [folder / name for name in sorted(names)]
        if missing := [path.name for path in paths if not path.is_file() or path.parent != folder]:
            raise BadData(
                f"{INDEX} of the base model names files that are not there: {', '.join(missing[:5])}",
                reason="BadWeights",
            )
        return paths
    if (folder / SINGLE).exists():
        return [folder / SINGLE]
    others = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix in (".bin", ".pt", ".pth", ".gguf", ".h5", ".safetensors")
    )
    raise BadRequest(
        f"the base model has neither {SINGLE} nor {INDEX}"
        + (f", only {', '.join(others[:5])}" if others else ""),
        reason="UnsupportedWeights",
        remedy="convert it once with transformers (`save_pretrained`), which writes safetensors; pickled weights are never loaded",
    )


def read_base(folder: Path) -> Mapping[str, dict[str, Tensor]]:
    """All weights of a model folder: file name -> its tensors. Raises BadData if a name is there twice."""
    files = {path.name: read_tensors(path) for path in weight_files(folder)}
    seen: dict[str, str] = {}
    for file, tensors in files.items():
        for name in tensors:
            if name in seen:
                raise BadData(
                    f"{name} is in {seen[name]} and in {file} of the base model", reason="BadWeights"
                )
            seen[name] = file
    return files


def _broken(path: Path, why: str) -> BadData:
    return BadData(
        f"{path.name} is not a whole safetensors file: {why}",
        reason="BadWeights",
        remedy="get the file again",
    )
