"""How long is waited for batches, and how often is asked how they are. Pure, but for the waiting itself."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tunesmith.errors import TryAgain
from tunesmith_jobs.teacher.endpoint import Absent, Passing

T = TypeVar("T")
_DAY = 86_400.0


@dataclass(frozen=True)
class BatchPatience:
    """Limits on waiting for batches, in seconds where nothing else is said."""

    quiet: float = 3.0  # without a new call, after which those that wait are sent together
    gathering: float = 600.0  # after which they are sent even if more still come
    first_look: float = 5.0  # after a batch was made; then less and less often
    most_between_looks: float = 60.0
    # Without any answer of the endpoint about a batch. It lasts a day; its files are kept for thirty.
    lost: float = _DAY
    # After a batch was made. Most promise a day, Novita two; Azure lets a batch go on beyond its day.
    longest: float = 3 * _DAY
    # Another process may still be about to make the batch that it has written down, and what is not there
    # may still come. An upload of 100 MB takes less.
    making: float = 300.0
    listed: float = 20.0  # until a batch that was made stands in the list
    rounds: int = 5  # batches in which one call may be


def pause(looks: int, draw: float, patience: BatchPatience) -> float:
    """Seconds before the next look: half as long again each time, and up to a quarter more by chance.

    `draw`: uniform in 0 to 1.
    """
    return min(patience.most_between_looks, patience.first_look * 1.5**looks) * (1 + draw / 4)


async def lasting(
    ask: Callable[[], Awaitable[T]], patience: BatchPatience, gone: Callable[[], T] | None = None
) -> T:
    """The answer to a question about a batch, asked again for as long as the endpoint is away.

    A `Retry-After` is kept to. What is not there may come a little later; then it is `gone`. Raises TryAgain
    once the endpoint has been away too long.
    """
    begun, tries = time.monotonic(), 0
    while True:
        try:
            return await ask()
        except Passing as fault:
            away = time.monotonic() - begun
            wait = max(pause(tries, random.random(), patience), fault.retry_after or 0.0)
            absent = isinstance(fault, Absent)
            if away + wait > (patience.making if absent else patience.lost):
                if absent and gone is not None:
                    return gone()
                raise TryAgain(
                    f"the teacher has said nothing about a batch for {away / 3600:.1f} hours: {fault}",
                    reason="TeacherUnavailable",
                    remedy="check the endpoint; then run again: the batch is found and waited for",
                ) from fault
            tries += 1
            await asyncio.sleep(wait)
