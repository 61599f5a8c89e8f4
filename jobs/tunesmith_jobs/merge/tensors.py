"""Safetensors files: where each tensor lies, reading a part of one, and the header of a file to write.

The format: the length of the header (8 bytes, little-endian), the header (JSON: name -> dtype, shape,
data_offsets), the data.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import BadData, BadRequest
from tunesmith_jobs.base.safetensors_format import HEADER_LIMIT, ITEM_BYTES, LENGTH_BYTES


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in a file. `start`: byte of the file at which its data begin, row by row."""

    name: str
    dtype: str  # as safetensors names it: "BF16"
    shape: tuple[int, ...]
    path: Path
    start: int

    @property
    def item_bytes(self) -> int:
        """Bytes of one element."""
        return ITEM_BYTES[self.dtype]

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, in the order of their data.

    Raises BadData for a file that is damaged or cut short.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            if not 2 <= length <= min(HEADER_LIMIT, size - LENGTH_BYTES):
                raise _broken(path, f"its header would be {length} bytes long")
            entries = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        data = LENGTH_BYTES + length
        return {
            name: _tensor(path, name, entry, data=data, size=size)
            for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"])
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, f"its header cannot be read ({type(error).__name__}: {error})") from error


def _tensor(path: Path, name: str, entry: Mapping[str, Any], *, data: int, size: int) -> Tensor:
    """The tensor of a header's entry. `data`: byte at which all data begin; `size`: bytes of the file."""
    first, end = entry["data_offsets"]
    tensor = Tensor(name, entry["dtype"], tuple(entry["shape"]), path, data + first)
    if tensor.dtype not in ITEM_BYTES:
        raise BadRequest(
            f"{path.name}: {name} is of type {tensor.dtype}, which cannot be merged",
            reason="UnsupportedWeights",
        )
    if tensor.elements * tensor.item_bytes != end - first or data + end > size:
        raise _broken(path, f"the data of {name} are not all there")
    return tensor


def read_into(tensor: Tensor, first: int, view: memoryview) -> None:
    """Fill `view` (bytes) with the tensor's data from element `first` on."""
    _fill(tensor, first * tensor.item_bytes, view)


def read_columns(tensor: Tensor, first: int, end: int) -> bytearray:
    """Bytes of the columns `first` to `end` of a matrix, row after row."""
    rows, columns = tensor.shape
    width = (end - first) * tensor.item_bytes
    data = bytearray(rows * width)
    view = memoryview(data)
    for row in range(rows):
        _fill(tensor, (row * columns + first) * tensor.item_bytes, view[row * width : (row + 1) * width])
    return data


def _fill(tensor: Tensor, offset: int, view: memoryview) -> None:
    with tensor.path.open("rb", buffering=0) as file:
        position = tensor.start + offset
        while view:
            count = os.preadv(file.fileno(), [view], position)
            if not count:
                raise _broken(tensor.path, f"the data of {tensor.name} end too early")
            view = view[count:]
            position += count


def header(tensors: Iterable[tuple[str, str, tuple[int, ...]]]) -> bytes:
    """The bytes before the data of a file with these tensors (name, dtype, shape) in this order."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, dtype, shape in tensors:
        first, end = end, end + math.prod(shape) * ITEM_BYTES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [first, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data are aligned
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def _broken(path: Path, why: str) -> BadData:
    return BadData(
        f"{path.name} is not a whole safetensors file: {why}",
        reason="BadWeights",
        remedy="get the file again",
    )
