"""The arithmetic of one block: some rows of one tensor, in float32, rounded once.

Multiply, then scale, then add, as PEFT does: one fused operation would change a third of the elements where the scale is no power of
two. In float32 the result is PEFT's, bit for bit, wherever the two BLAS sum a row and a column in the same order.

numpy, not torch: the same numbers, and importing torch alone takes more memory than the whole merge.
"""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from tunesmith.errors import BadData
from tunesmith_jobs.merge.files import ITEM_BYTES, Tensor, read_columns, read_into
from tunesmith_jobs.merge.plan import Output
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

LEAST_ROWS = 16  # of a product: for fewer a BLAS may have another kernel, which sums in another order
_SAMPLE = 1 << 14  # elements at the start of each block that the statistics are taken from


@dataclass(frozen=True, slots=True)
class Block:
    """`rows` rows of `columns` elements of a tensor, from row `first` on. Where only elements count, a row is one element."""

    output: Output
    first: int
    rows: int
    columns: int

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return self.rows * self.columns

    @property
    def start(self) -> int:
        """Place of its first element in the tensor."""
        return self.first * self.columns


@dataclass(slots=True)
class Kept:
    """How much of the update is in the merged weights, from a sample: sums over its elements."""

    elements: int = 0
    changed: int = 0  # elements that are not what they were
    along: float = 0.0  # sum of (what was added) x (what should have been)
    whole: float = 0.0  # sum of (what should have been added) squared

    def add(self, other: "Kept") -> None:
        """Add another sample's sums."""
        self.elements += other.elements
        self.changed += other.changed
        self.along += other.along
        self.whole += other.whole

    @property
    def share(self) -> float:
        """The rounded update's projection on the exact one: 1 if all of it arrived, 0 if nothing did."""
        return self.along / self.whole if self.whole else 1.0


@dataclass(slots=True)
class Buffers:
    """Room for one block of `elements`. `result` and `kept` are those of the block that was computed last."""

    elements: int
    raw: Bytes = field(init=False)
    wide: Floats = field(init=False)
    result: memoryview = field(init=False)
    kept: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        self.raw = np.empty(self.elements * 4, dtype=np.uint8)
        self.wide = np.empty(self.elements, dtype=np.float32)
        self.result = memoryview(b"")


def split(output: Output, most: int) -> list[Block]:
    """The blocks of a tensor, all of about the same size, of at most `most` elements each (more only to keep LEAST_ROWS)."""
    if output.change is not None and output.change.low_rank is not None:
        rows, columns = output.shape
        step = max(LEAST_ROWS, most // columns)
    else:
        rows, columns = math.prod(output.shape), 1
        step = most * 4 // output.source.item if output.copied else most  # bytes count, or elements
    count = -(-rows // step)
    edges = [rows * index // count for index in range(count + 1)]
    return [Block(output, first, end - first, columns) for first, end in itertools.pairwise(edges)]


def compute(block: Block, buffers: Buffers, seed: int) -> Buffers:
    """Read, merge and round a block; its bytes are then `buffers.result`. Raises BadData if a number does not fit the type."""
    output, source = block.output, block.output.source
    raw = buffers.raw[: block.elements * source.item]
    read_into(source, block.start, raw.data)
    buffers.kept = Kept()
    if output.copied:
        buffers.result = raw.data
        return buffers
    wide = buffers.wide[: block.elements]
    if output.change is None:
        wide[:] = 0
        _add(wide, raw, source.dtype)
        buffers.result = _rounded(block, buffers, seed)
        return buffers
    before = float32(raw[: _SAMPLE * source.item], source.dtype).copy()
    _update(block, wide)
    _add(wide, raw, source.dtype)
    if (low_rank := output.change.low_rank) is not None and low_rank.magnitude is not None:
        _give_length(block, wide, low_rank.magnitude)
    exact = wide[:_SAMPLE] - before
    buffers.result = _rounded(block, buffers, seed)
    added = (
        float32(
            np.frombuffer(buffers.result, np.uint8)[: len(before) * ITEM_BYTES[output.dtype]], output.dtype
        )
        - before
    )
    buffers.kept = Kept(len(before), int(np.count_nonzero(added)), float(added @ exact), float(exact @ exact))
    return buffers


def _update(block: Block, wide: Floats) -> None:
    """Write what is to be added to the weights: `scale * B A`, or a vector times scale."""
    change = block.output.change
    assert change is not None
    if change.added is not None:
        vector, scale = change.added
        np.multiply(_read(vector, block.first, block.rows), np.float32(scale), out=wide)
        return
    assert change.low_rank is not None
    a, b, scale = change.low_rank.a, change.low_rank.b, change.low_rank.scale
    rank = a.shape[0]
    update = wide.reshape(block.rows, block.columns)
    if block.output.transposed:
        columns = float32(
            np.frombuffer(read_columns(a, block.first, block.first + block.rows), np.uint8), a.dtype
        )
        np.matmul(columns.reshape(rank, block.rows).T, _read(b).reshape(b.shape).T, out=update)
    else:
        rows = _read(b, block.first * rank, block.rows * rank).reshape(block.rows, rank)
        np.matmul(rows, _read(a).reshape(a.shape), out=update)
    np.multiply(update, np.float32(scale), out=update)


def _add(wide: Floats, raw: Bytes, dtype: str) -> None:
    """Add stored numbers to float32 ones."""
    item = ITEM_BYTES[dtype]
    for begin in range(0, len(wide), CHUNK):
        part = wide[begin : begin + CHUNK]
        np.add(part, float32(raw[begin * item : (begin + CHUNK) * item], dtype), out=part)


def _give_length(block: Block, wide: Floats, magnitude: Tensor) -> None:
    """DoRA: rows of W + scale B A, brought to the length that the magnitude vector says."""
    rows = wide.reshape(block.rows, block.columns)
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):  # a row of zeros: found below, as not finite
        np.multiply(rows, (_read(magnitude, block.first, block.rows) / length)[:, None], out=rows)


def _read(tensor: Tensor, first: int = 0, count: int | None = None) -> Floats:
    """Elements of an adapter's tensor, flat, as float32."""
    data = np.empty((tensor.elements if count is None else count) * tensor.item, dtype=np.uint8)
    read_into(tensor, first, data.data)
    return float32(data, tensor.dtype)


def _rounded(block: Block, buffers: Buffers, seed: int) -> memoryview:
    """The block's bytes in its type. Raises BadData for what is not finite, or not finite any more."""
    output, wide = block.output, buffers.wide[: block.elements]
    largest = max(-float(wide.min(initial=0)), float(wide.max(initial=0)))
    if not math.isfinite(largest):
        raise BadData(
            f"{output.name}: the merged weights are not finite numbers",
            reason="NotFinite",
            remedy="base model or adapter is broken; train again, with a lower learningRate if its loss went wild",
        )
    if output.dtype == "F32":
        return wide.view(np.uint8).data
    target = buffers.raw[: block.elements * ITEM_BYTES[output.dtype]]
    round_to(
        output.dtype, wide, target, philox_key(seed, output.name) if output.stochastic else None, block.start
    )
    if largest > LARGEST[output.dtype] and any_infinite(target, output.dtype):
        raise BadData(
            f"{output.name}: {largest:g} is beyond {LARGEST[output.dtype]:g}, the largest number of {output.dtype}",
            reason="Overflow",
            remedy="set merge.dtype to bfloat16 or float32, or leave it at auto",
        )
    return target.data
