"""Blocks through a fixed pool of buffers into the store.

Workers read and compute; the calling thread hashes and writes, in order.
"""

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from tunesmith_jobs.merge.blocks import Buffers, Kept, compute, split
from tunesmith_jobs.merge.layout import Shard
from tunesmith_jobs.storage import Writer

BLOCK_ELEMENTS = 1 << 18
_MOST_WORKERS = 4  # one thread hashes their results, so more would only wait and take memory
_AHEAD = 2  # finished blocks that wait to be written, in addition to those being computed


def write_shard(
    shard: Shard,
    out: Writer,
    *,
    seed: int,
    block_elements: int = BLOCK_ELEMENTS,
    workers: int = 0,
    wrote: Callable[[int], None] = lambda _bytes: None,
) -> Kept:
    """Merge one file and write it to `out`; returns the sample of how much of the update was kept.

    `wrote`: called with the bytes of each block, from the calling thread. It may raise to stop the merge.
    `workers`: threads that compute; 0 is one for each core, at most 4. They never change the result.
    """
    kept = Kept()
    out.write(shard.header)
    wrote(len(shard.header))
    threads = workers or min(_MOST_WORKERS, _cores())
    with closing(_computed(shard, seed, block_elements, threads)) as blocks:
        for done in blocks:
            out.write(done.result)
            wrote(len(done.result))
            kept.add(done.kept)
    return kept


def _computed(shard: Shard, seed: int, most: int, workers: int) -> Generator[Buffers]:
    """The blocks of a shard in the order of its data.

    A block's buffers are reused when the next one is asked for.
    """
    blocks = [block for tensor in shard.tensors for block in split(tensor, most)]
    elements = max([most, *(block.elements for block in blocks if not block.tensor.copied)])
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
