"""Calls that wait to be asked together, and those who wait for their answers."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tunesmith_jobs.generate.batch_patience import BatchPatience
from tunesmith_jobs.generate.journal import Journal
from tunesmith_jobs.teacher.calls import Answer, Call


@dataclass
class Waiter:
    """A call that waits for its answer.

    `rounds`: batches in which it was; `fault`: why the last of them has not answered it.
    """

    call: Call
    answered: asyncio.Future[Answer]
    rounds: int = 0
    fault: str = ""


class WaitingCalls:
    """Calls without an answer, by their names in the journal. Use within one event loop."""

    def __init__(self, journal: Journal, patience: BatchPatience) -> None:
        self._journal = journal
        self._patience = patience
        self._calls: dict[str, Waiter] = {}
        self._asked = asyncio.Event()
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[Waiter]:
        return iter(list(self._calls.values()))

    async def answer_to(self, call: Call) -> Answer:
        """Wait for the answer to a call. Who asks the same call waits for the same answer."""
        if self._error is not None:
            raise self._error
        key = self._journal.key(call)
        if key not in self._calls:
            self._calls[key] = Waiter(call, asyncio.get_running_loop().create_future())
            self._asked.set()
        return await asyncio.shield(self._calls[key].answered)

    async def gathered(self, most: int) -> None:
        """Wait until there are calls, and no more come for a while, or there are `most` of them."""
        if not self._calls:
            await self._asked.wait()
        begun = time.monotonic()
        while time.monotonic() - begun < self._patience.gathering and len(self._calls) < most:
            self._asked.clear()
            try:
                await asyncio.wait_for(self._asked.wait(), self._patience.quiet)
            except TimeoutError:
                return

    def give(self, waiter: Waiter, answer: Answer) -> None:
        """Give an answer to those who wait for it."""
        self._calls.pop(self._journal.key(waiter.call), None)
        if not waiter.answered.done():
            waiter.answered.set_result(answer)

    def give_from_journal(self) -> None:
        """Give the answers that have come into the journal by another way."""
        for waiter in self:
            answer = self._journal.find(waiter.call)
            if answer is not None:
                self.give(waiter, answer)

    def fail(self, error: BaseException) -> None:
        """End all that wait, now or later, with an error. The first stays."""
        self._error = self._error or error
        for waiter in self:
            if not waiter.answered.done():
                waiter.answered.set_exception(self._error)
                waiter.answered.exception()  # read, in case nobody waits for it any more
