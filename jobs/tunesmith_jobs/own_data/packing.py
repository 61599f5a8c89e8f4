"""Packed files: gzip, bzip2, xz and zstd, told by how they begin, whatever their names say. Pure."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tunesmith.errors import BadData, BadRequest, Problem


@dataclass(frozen=True)
class Packing:
    """One way to pack a file: its name, how such files begin, and the way back."""

    name: str
    magic: bytes
    unpack: Callable[[bytes], bytes]


def _zstd(data: bytes) -> bytes:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise BadRequest(
            "a file is packed with zstd, and pyarrow, which unpacks it, is not installed here",
            reason="PackageMissing",
            remedy="install tunesmith[generate], or pack the file with gzip",
        ) from error
    with pa.CompressedInputStream(pa.py_buffer(data), "zstd") as stream:
        unpacked: bytes = stream.read()
    return unpacked


PACKINGS = (
    Packing("gzip", b"\x1f\x8b", gzip.decompress),
    Packing("bzip2", b"BZh", bz2.decompress),
    Packing("xz", b"\xfd7zXZ\0", lzma.decompress),
    Packing("zstd", b"\x28\xb5\x2f\xfd", _zstd),
)
_FAULTS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)  # Arrow's own are OSErrors, too


def unpacked(data: bytes, name: str) -> tuple[bytes, str]:
    """A file's bytes, and the name of its packing; empty for one that is not packed.

    Raises BadData if it is damaged.
    """
    for packing in PACKINGS:
        if not data.startswith(packing.magic):
            continue
        try:
            return packing.unpack(data), packing.name
        except _FAULTS as error:
            problem = Problem(name, f"is packed with {packing.name} and cannot be unpacked: {error}")
            raise BadData(
                f"{name} cannot be read", reason="BadRows", problems=[problem], remedy="pack it again"
            ) from error
    return data, ""
