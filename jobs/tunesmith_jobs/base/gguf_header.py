"""The header of a GGUF file: its metadata and its table of tensors.

Pure, so that a preflight can read it by ranges.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MAGIC: Final = b"GGUF"
Value = str | int | float | bool | list[str | int | float | bool]

_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_AT_ONCE = 1 << 20  # bytes of one range read


@dataclass
class GgufHeader:
    """The metadata and the shapes of the tensors.

    `metadata`: values by key (`general.architecture`, `tokenizer.chat_template`).
    `tensors`: shapes by the names in the file, in torch's order of dimensions.
    """

    metadata: dict[str, Value] = field(default_factory=dict)
    tensors: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """A text of the metadata; empty if there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        """A whole number of the metadata; 0 if there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) else 0


def read_header(read_range: Callable[[int, int], bytes]) -> GgufHeader:
    """The header of a file. Raises ValueError if it is damaged.

    `read_range(start, length)`: gives bytes of the file, fewer at its end.
    """
    data = _Bytes(read_range)
    if data.take(4) != MAGIC:
        raise ValueError("does not begin as a GGUF file")
    version = data.unpack("<I")
    if version not in _VERSIONS:
        raise ValueError(f"GGUF version {version} is not one of {_VERSIONS}")
    tensors = int(data.unpack("<Q"))
    pairs = int(data.unpack("<Q"))
    header = GgufHeader()
    for _ in range(pairs):
        key = data.string()
        header.metadata[key] = _value(data, int(data.unpack("<I")))
    for _ in range(tensors):
        name = data.string()
        dimensions = int(data.unpack("<I"))
        shape = tuple(int(data.unpack("<Q")) for _ in range(dimensions))
        data.take(12)  # type and offset
        header.tensors[name] = shape[::-1]  # GGUF writes the fastest dimension first
    return header


def _value(data: "_Bytes", kind: int) -> Value:
    if kind == _STRING:
        return data.string()
    if kind != _ARRAY:
        return data.unpack(_scalar(kind))
    inner = int(data.unpack("<I"))
    count = int(data.unpack("<Q"))
    if inner == _STRING:
        return [data.string() for _ in range(count)]
    code = _scalar(inner)
    return [item for (item,) in struct.iter_unpack(code, data.take(struct.calcsize(code) * count))]


def _scalar(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"unknown type {kind} in the metadata")
    return _SCALARS[kind]


class _Bytes:
    """A cursor over bytes that are read in large ranges as they are needed."""

    def __init__(self, read_range: Callable[[int, int], bytes]) -> None:
        self._read_range = read_range
        self._buffer = b""
        self._position = 0  # in the buffer
        self._end = 0  # of the buffer, in the file

    def take(self, length: int) -> bytes:
        if self._position + length > len(self._buffer):
            rest = self._buffer[self._position :]
            more = self._read_range(self._end, max(_AT_ONCE, length - len(rest)))
            self._buffer = rest + more
            self._position = 0
            self._end += len(more)
            if length > len(self._buffer):
                raise ValueError("ends within its header")
        start, self._position = self._position, self._position + length
        return self._buffer[start : self._position]

    def unpack(self, code: str) -> int | float | bool:
        value: int | float | bool = struct.unpack(code, self.take(struct.calcsize(code)))[0]
        return value

    def string(self) -> str:
        return self.take(int(self.unpack("<Q"))).decode("utf-8", "replace")
