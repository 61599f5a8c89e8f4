"""The arithmetic of one block: some rows of one tensor, in float32, rounded once.

It multiplies, then scales, then adds, as PEFT does. One fused operation would change a third of the elements
if the scale is not a power of two. In float32 the result is PEFT's, bit for bit, wherever the two BLAS sum a
row and a column in the same order.

It uses numpy, not torch: the numbers are the same, and importing torch alone takes more memory than the whole
merge.
"""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from tunesmith.errors import BadData
from tunesmith_jobs.base.safetensors_format import ITEM_BYTES
from tunesmith_jobs.merge.layout import MergedTensor
from tunesmith_jobs.merge.rounding import (
    CHUNK,
    LARGEST,
    Bytes,
    Floats,
    any_infinite,
    float32,
    philox_key,
    round_to,
)
from tunesmith_jobs.merge.tensors import Tensor, read_columns, read_into

LEAST_ROWS = 16  # of a product: for fewer rows a BLAS may use another kernel, which sums in another order
_SAMPLE = 1 << 14  # elements at the beginning of each block that the statistics are taken from


@dataclass(frozen=True, slots=True)
class Block:
    """`rows` rows of `columns` elements of a tensor, from row `first` on.

    Without a product, a row is one element.
    """

    tensor: MergedTensor
    first: int
    rows: int
    columns: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return self.rows * self.columns

    @property
    def start(self) -> int:
        """Place of the first element in the tensor."""
        return self.first * self.columns


@dataclass(slots=True)
class Kept:
    """How much of the update is in the merged weights, from a sample: sums over its elements."""

    elements: int = 0
    changed: int = 0  # elements that differ from the base
    along: float = 0.0  # sum of (rounded update) x (exact update)
    whole: float = 0.0  # sum of (exact update) squared

    def add(self, other: "Kept") -> None:
        """Add another sample's sums."""
        self.elements += other.elements
        self.changed += other.changed
        self.along += other.along
        self.whole += other.whole

    @property
    def share(self) -> float:
        """The rounded update's projection on the exact one: 1 if all of it was kept, 0 if nothing was."""
        return self.along / self.whole if self.whole else 1.0


@dataclass(slots=True)
class Buffers:
    """Room for one block of `elements`. `result` and `kept` belong to the block that was computed last."""

    elements: int
    raw: Bytes = field(init=False)
    wide: Floats = field(init=False)
    result: memoryview = field(init=False)
    kept: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        self.raw = np.empty(self.elements * 4, dtype=np.uint8)
        self.wide = np.empty(self.elements, dtype=np.float32)
        self.result = memoryview(b"")


def split(tensor: MergedTensor, most: int) -> list[Block]:
    """The blocks of a tensor, of about the same size: at most `most` elements, but at least LEAST_ROWS."""
    if tensor.change is not None and tensor.change.low_rank is not None:
        rows, columns = tensor.shape
        step = max(LEAST_ROWS, most // columns)
    else:
        rows, columns = math.prod(tensor.shape), 1
        step = (
            most * 4 // tensor.source.item_bytes if tensor.copied else most
        )  # a copy only has to fit by its bytes
    count = -(-rows // step)
    edges = [rows * index // count for index in range(count + 1)]
    return [Block(tensor, first, end - first, columns) for first, end in itertools.pairwise(edges)]


def compute(block: Block, buffers: Buffers, seed: int) -> Buffers:
    """Read, merge and round a block; its bytes are then `buffers.result`.

    Raises BadData if a number does not fit the type.
    """
    tensor, source = block.tensor, block.tensor.source
    raw = buffers.raw[: block.elements * source.item_bytes]
    read_into(source, block.start, raw.data)
    buffers.kept = Kept()
    if tensor.copied:
        buffers.result = raw.data
        return buffers
    wide = buffers.wide[: block.elements]
    if tensor.change is None:
        wide[:] = 0
        _add(wide, raw, source.dtype)
        buffers.result = _rounded(block, buffers, seed)
        return buffers
    before = float32(raw[: _SAMPLE * source.item_bytes], source.dtype).copy()
    _write_update(block, wide)
    _add(wide, raw, source.dtype)
    low_rank = tensor.change.low_rank
    if low_rank is not None and low_rank.magnitude is not None:
        _give_length(block, wide, low_rank.magnitude)
    exact = wide[:_SAMPLE] - before
    buffers.result = _rounded(block, buffers, seed)
    buffers.kept = _sampled(buffers.result, tensor.dtype, before=before, exact=exact)
    return buffers


def _sampled(result: memoryview, dtype: str, *, before: Floats, exact: Floats) -> Kept:
    """How much of the update `exact` to the weights `before` is in the beginning of a block's result."""
    data = np.frombuffer(result, np.uint8)[: len(before) * ITEM_BYTES[dtype]]
    added = float32(data, dtype) - before
    return Kept(len(before), int(np.count_nonzero(added)), float(added @ exact), float(exact @ exact))


def _write_update(block: Block, wide: Floats) -> None:
    """Write what is to be added to the weights: `scale * B A`, or a vector times its scale."""
    change = block.tensor.change
    assert change is not None
    if change.added is not None:
        vector, scale = change.added
        np.multiply(_read(vector, block.first, block.rows), np.float32(scale), out=wide)
        return
    assert change.low_rank is not None
    a, b = change.low_rank.a, change.low_rank.b
    rank = a.shape[0]
    update = wide.reshape(block.rows, block.columns)
    if block.tensor.transposed:
        data = read_columns(a, block.first, block.first + block.rows)
        columns = float32(np.frombuffer(data, np.uint8), a.dtype)
        np.matmul(columns.reshape(rank, block.rows).T, _read(b).reshape(b.shape).T, out=update)
    else:
        rows = _read(b, block.first * rank, block.rows * rank).reshape(block.rows, rank)
        np.matmul(rows, _read(a).reshape(a.shape), out=update)
    np.multiply(update, np.float32(change.low_rank.scale), out=update)


def _add(wide: Floats, raw: Bytes, dtype: str) -> None:
    """Add stored numbers to float32 ones."""
    item = ITEM_BYTES[dtype]
    for begin in range(0, len(wide), CHUNK):
        part = wide[begin : begin + CHUNK]
        np.add(part, float32(raw[begin * item : (begin + CHUNK) * item], dtype), out=part)


def _give_length(block: Block, wide: Floats, magnitude: Tensor) -> None:
    """DoRA: give the rows of W + scale B A the lengths in the magnitude vector."""
    rows = wide.reshape(block.rows, block.columns)
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):  # a row of zeros is found later, as not finite
        np.multiply(rows, (_read(magnitude, block.first, block.rows) / length)[:, None], out=rows)


def _read(tensor: Tensor, first: int = 0, count: int | None = None) -> Floats:
    """Elements of an adapter's tensor, flat, as float32."""
    elements = tensor.elements if count is None else count
    data = np.empty(elements * tensor.item_bytes, dtype=np.uint8)
    read_into(tensor, first, data.data)
    return float32(data, tensor.dtype)


def _rounded(block: Block, buffers: Buffers, seed: int) -> memoryview:
    """The block's bytes in its type.

    Raises BadData for numbers that are not finite, or are not after the rounding.
    """
    tensor, wide = block.tensor, buffers.wide[: block.elements]
    largest = max(-float(wide.min(initial=0)), float(wide.max(initial=0)))
    if not math.isfinite(largest):
        raise BadData(
            f"{tensor.name}: the merged weights are not finite numbers",
            reason="NotFinite",
            remedy="base model or adapter is broken;"
            " if the loss became infinite, train again with a lower learningRate",
        )
    if tensor.dtype == "F32":
        return wide.view(np.uint8).data
    out = buffers.raw[: block.elements * ITEM_BYTES[tensor.dtype]]
    key = philox_key(seed, tensor.name) if tensor.stochastic else None
    round_to(tensor.dtype, wide, out, key, block.start)
    if largest > LARGEST[tensor.dtype] and any_infinite(out, tensor.dtype):
        raise BadData(
            f"{tensor.name}: {largest:g} is beyond {LARGEST[tensor.dtype]:g},"
            f" the largest number of {tensor.dtype}",
            reason="Overflow",
            remedy="set merge.dtype to bfloat16 or float32, or leave it at auto",
        )
    return out.data
