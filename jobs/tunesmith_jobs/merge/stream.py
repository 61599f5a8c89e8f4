"""Blocks through a fixed pool of buffers into the store: workers read and compute, the calling thread hashes and writes, in order."""

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from tunesmith_jobs.merge.blocks import Buffers, Kept, compute, split
from tunesmith_jobs.merge.plan import Shard
from tunesmith_jobs.storage import Writer

BLOCK_ELEMENTS = 1 << 18
_MOST_WORKERS = 4  # one thread hashes what they make, so more would only wait, and take memory
_AHEAD = 2  # blocks that are finished or waiting to be written, beside those at work


def write_shard(
    shard: Shard,
    out: Writer,
    *,
    seed: int,
    block_elements: int = BLOCK_ELEMENTS,
    workers: int = 0,
    wrote: Callable[[int], None] = lambda _bytes: None,
) -> Kept:
    """Merge one file and write it to `out`; returns the sample of what was kept.

    `wrote` is told the bytes of each block, from the calling thread, and may raise to stop. `workers`: threads that compute (0: one
    for each core, at most 4); they never change the result.
    """
    kept = Kept()
    start = shard.header
    out.write(start)
    wrote(len(start))
    with closing(_computed(shard, seed, block_elements, workers or min(_MOST_WORKERS, _cores()))) as blocks:
        for done in blocks:
            out.write(done.result)
            wrote(len(done.result))
            kept.add(done.kept)
    return kept


def _computed(shard: Shard, seed: int, most: int, workers: int) -> Generator[Buffers]:
    """The blocks of a shard in the order of its data. A block's buffers are used again once the next one is asked for."""
    blocks = [block for output in shard.outputs for block in split(output, most)]
    elements = max([most, *(block.elements for block in blocks if not block.output.copied)])
    free = [Buffers(elements) for _ in range(workers + _AHEAD)]
    waiting: deque[Future[Buffers]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="merge") as pool:
        try:
            for block in blocks:
                if not free:
                    done = waiting.popleft().result()
                    yield done
                    free.append(done)
                waiting.append(pool.submit(compute, block, free.pop(), seed))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
