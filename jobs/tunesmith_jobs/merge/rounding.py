"""From float32, in which everything is computed, to the type of the stored weights: one rounding, at the end.

Most updates of a fine-tuning are smaller than half a step of bfloat16. Rounding to nearest drops them
entirely, up to a quarter of what training gained. Stochastic rounding goes up or down with the probability
that makes the expected value exact, so the sums that a layer takes over thousands of weights keep the update.

The draws are counter-based (Philox, keyed by seed and tensor name, at the element's place in its tensor). So
a result does not depend on the size of blocks, on threads, or on where a restart began.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Key = npt.NDArray[np.uint64]

LARGEST = {"F32": 3.4028234663852886e38, "F16": 65504.0, "BF16": 3.3895313892515355e38}
CHUNK = 1 << 18
"""Elements that are rounded at a time: with their draws and the result they fit into the cache of a core."""
_PER_COUNT = 16  # draws of 16 bits per step of Philox's counter, which gives four words of 64 bits
_BF16_INFINITY = 0x7F80


def float32(data: Bytes, dtype: str) -> Floats:
    """Stored numbers as float32, exactly. F32 is not copied."""
    match dtype:
        case "F32":
            return data.view(np.float32)
        case "F16":
            return data.view(np.float16).astype(np.float32)
        case "BF16":  # the upper half of a float32
            return np.left_shift(data.view(np.uint16), 16, dtype=np.uint32).view(np.float32)
        case _:
            raise ValueError(dtype)


def round_to(dtype: str, values: Floats, out: Bytes, key: Key | None, first: int) -> None:
    """Round float32 to F16 or BF16: to nearest, ties to even, or stochastically with the draws of `key`.

    Stochastic rounding is for BF16 only.

    `values` must be finite, and are overwritten. A value that is too large becomes infinite.
    `first`: the place of the first value in its tensor.
    """
    for begin in range(0, len(values), CHUNK):
        part = values[begin : begin + CHUNK]
        if dtype == "F16":
            with np.errstate(over="ignore", under="ignore"):
                out.view(np.float16)[begin : begin + CHUNK] = part
        else:
            bits = part.view(np.uint32)
            more: npt.NDArray[Any] = (
                draws(key, first + begin, len(bits)) if key is not None else ((bits >> 16) & 1) + 0x7FFF
            )
            np.add(bits, more, out=bits)
            np.right_shift(bits, 16, out=bits)
            out.view(np.uint16)[begin : begin + CHUNK] = bits


def any_infinite(data: Bytes, dtype: str) -> bool:
    """Whether rounding has made a number infinite."""
    if dtype == "BF16":
        return bool(((data.view(np.uint16) & _BF16_INFINITY) == _BF16_INFINITY).any())
    return bool(np.isinf(data.view(np.float16)).any())


def philox_key(seed: int, name: str) -> Key:
    """The key of a tensor's draws: 128 bits."""
    return np.frombuffer(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:16], dtype="<u8")


def draws(key: Key, first: int, count: int) -> npt.NDArray[np.uint16]:
    """Uniform 16-bit draws for the elements `first` to `first + count` of a tensor.

    A bfloat16 is the upper half of a float32. Adding a draw to the lower half carries into the upper one with
    the probability (lower half) / 2^16. That rounds the magnitude without bias, and leaves exact values as
    they are.
    """
    start, skip = divmod(first, _PER_COUNT)
    words = -(-(skip + count) // 4)
    generator = np.random.Generator(np.random.Philox(key=key, counter=start))
    drawn = generator.integers(0, 2**64 - 1, words, dtype=np.uint64, endpoint=True)
    return drawn.astype("<u8", copy=False).view(np.uint16)[skip : skip + count]
