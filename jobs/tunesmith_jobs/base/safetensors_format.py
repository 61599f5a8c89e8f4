"""What the safetensors format fixes: the sizes of its types and of its header. Pure."""

from collections.abc import Mapping

LENGTH_BYTES = 8
"""The length of the header, little-endian, at the beginning of a file."""
HEADER_LIMIT = 100_000_000
"""The most bytes of a header, as in the reference implementation."""
ITEM_BYTES: Mapping[str, int] = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}
"""Bytes of one element, by the format's name of its type."""
