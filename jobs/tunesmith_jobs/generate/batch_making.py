"""Makes a batch, once, and waits for its end: whatever is lost on the way, its mark finds it again."""

import asyncio
import random
import time
from collections.abc import Callable

from tunesmith.errors import TryAgain
from tunesmith_jobs.generate.batch_patience import BatchPatience, lasting, pause
from tunesmith_jobs.generate.batch_records import Record
from tunesmith_jobs.teacher.batches import Batch, BatchEndpoint, Reply
from tunesmith_jobs.teacher.endpoint import Passing

Progress = Callable[[str, int, int], None]  # is told a batch's name, its calls that are done with, and all


async def make(endpoint: BatchEndpoint, record: Record, data: bytes, patience: BatchPatience) -> Batch:
    """Make the batch that is written down. Raises BadRequest if the endpoint does not take it.

    A fault may come after the endpoint has made the batch, so it is looked for before another is made.
    """
    file = await lasting(lambda: endpoint.upload(data), patience)
    looks = 0
    while not await lasting(lambda: endpoint.ready(file), patience):
        await asyncio.sleep(pause(looks, random.random(), patience))
        looks += 1
        _check_age(record, patience, f"file {file}")

    async def make_or_find() -> Batch:
        try:
            return await endpoint.create(file, record.mark)
        except Passing:
            batch = await find(endpoint, record, patience, time.time() + patience.listed)
            if batch is None:
                raise
            return batch

    return await lasting(make_or_find, patience)


async def find(
    endpoint: BatchEndpoint, record: Record, patience: BatchPatience, until: float
) -> Batch | None:
    """The batch that is written down, if it is made by `until` (Unix time); else None.

    It is looked for once at least.
    """
    looks = 0
    while True:
        batch = await lasting(lambda: endpoint.find(record.mark, record.at), patience)
        left = until - time.time()
        if batch is not None or left <= 0:
            return batch
        await asyncio.sleep(min(left, pause(looks, random.random(), patience)))
        looks += 1


async def end_of(
    endpoint: BatchEndpoint, record: Record, name: str, patience: BatchPatience, progress: Progress
) -> Batch | None:
    """A batch once it has ended; None if the endpoint has it no more, or another key's.

    Raises TryAgain if it takes far longer than was promised.
    """
    looks = 0
    while True:
        batch = await lasting(lambda: endpoint.look(name), patience)
        if batch is None and time.time() - record.at > patience.listed:
            return None
        if batch is not None:
            progress(name, batch.answered, len(record.lines))
            if batch.ended:
                return batch
            _check_age(record, patience, f"batch {name}")
        await asyncio.sleep(pause(looks, random.random(), patience))
        looks += 1


async def replies_of(endpoint: BatchEndpoint, batch: Batch, patience: BatchPatience) -> dict[str, Reply]:
    """What the lines of a batch got that has ended; nothing if its files are not there any more."""
    none: dict[str, Reply] = {}
    return await lasting(lambda: endpoint.replies(batch), patience, lambda: none)


def _check_age(record: Record, patience: BatchPatience, what: str) -> None:
    if time.time() - record.at > patience.longest:
        raise TryAgain(
            f"{what} has not ended {patience.longest / 3600:.0f} hours after it was made",
            reason="TeacherUnavailable",
            remedy=f"cancel {what} at the endpoint, or set data.teacher.mode to live, and run again: what is "
            "answered is kept",
        )
