"""Asks for rows in batches: what is asked at the same time goes out in one file, answered within a day.

Answers take the way of all others: reader, journal, ledger. A batch is written down before it is made
(batch_records.py), so whatever ends the process, the next attempt finds it, waits for it and reads it, and no
line is paid for twice. A process that ends leaves its batches running.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Self

from tunesmith.errors import TunesmithError
from tunesmith_jobs.generate.batch_rules import few_enough
from tunesmith_jobs.generate.batch_sending import Sending
from tunesmith_jobs.generate.batch_waiting import Waiter, WaitingCalls
from tunesmith_jobs.generate.caller import Caller
from tunesmith_jobs.generate.open_batches import OpenBatches
from tunesmith_jobs.teacher.calls import Answer, Call
from tunesmith_jobs.teacher.endpoint import Endpoint


class Batches:
    """The calls of an attempt that are asked in batches. Use within one event loop, and within `async with`.

    They are asked in rounds: all that wait, a few of them live, the others in batches. `most`: calls that go
    out without waiting for more. `batch_only`: whether a model answers no live call.
    """

    def __init__(
        self,
        caller: Caller,
        endpoint: Endpoint,
        waiting: WaitingCalls,
        sending: Sending,
        left_behind: OpenBatches,
        *,
        most: int,
        say: Callable[[str], None],
        batch_only: Callable[[str], bool],
    ) -> None:
        self._caller = caller
        self._endpoint = endpoint
        self._waiting = waiting
        self._sending = sending
        self._left_behind = left_behind
        self._most = most
        self._say = say
        self._batch_only = batch_only
        self._known: set[tuple[str, str]] = set()  # models and shapes of calls that were answered live
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._end())]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ask(self, call: Call) -> Answer:
        """The answer to a call: the journal's, else that of a batch. Raises TunesmithError."""
        return await self._caller.ask_by(call, self._waiting.answer_to)

    async def _end(self) -> None:
        self._waiting.fail(await self._caller.ended())

    async def _work(self) -> None:
        try:
            while True:
                await self._waiting.gathered(self._most)
                await self._round()
        except TunesmithError as error:
            self._caller.end(error)
            self._waiting.fail(error)
        except Exception as error:  # noqa: BLE001 - it is raised where the answers are waited for
            self._waiting.fail(error)

    async def _round(self) -> None:
        await self._left_behind.read()  # of another process: they may hold the very answers
        self._waiting.give_from_journal()
        waiters = list(self._waiting)
        first = waiters if self._may_be_live(waiters) else self._one_of_each_new_kind(waiters)
        await asyncio.gather(*map(self._ask_live, first))
        rest = [waiter for waiter in waiters if not waiter.answered.done()]
        if rest:
            await self._sending.send(self._reserved(rest))

    def _may_be_live(self, waiters: Iterable[Waiter]) -> bool:
        """Whether all calls that wait may be asked live, as the last few of many."""
        waiters, journal = list(waiters), self._caller.journal
        live, batched = journal.paid_by(batch=False), journal.paid_by(batch=True)
        return few_enough(len(waiters), live=live, batched=batched) and not any(
            self._batch_only(waiter.call.model) for waiter in waiters
        )

    def _one_of_each_new_kind(self, waiters: Iterable[Waiter]) -> list[Waiter]:
        """A call of each kind that was not answered yet.

        It is asked live, so that the endpoint says at once, and not after a day, in what form it wants such
        calls, or that it wants none.
        """
        new: dict[tuple[str, str], Waiter] = {}
        for waiter in waiters:
            kind = (waiter.call.model, waiter.call.shape)
            if kind not in self._known and not self._batch_only(waiter.call.model):
                new.setdefault(kind, waiter)
        return list(new.values())

    async def _ask_live(self, waiter: Waiter) -> None:
        answer = await self._caller.ask_live(waiter.call)
        self._known.add((waiter.call.model, waiter.call.shape))
        self._waiting.give(waiter, answer)

    def _reserved(self, waiters: Iterable[Waiter]) -> list[tuple[Waiter, Call]]:
        """As many as the budget allows at the most that they can cost, each as it is sized now.

        The others wait until these are answered and have cost what they cost. Raises BudgetSpent for none.
        """
        sized = [(waiter, self._endpoint.sized(waiter.call)) for waiter in waiters]
        taken = []
        for waiter, call in sized:
            if not self._caller.ledger.reserve(call, in_batch=True):
                break
            taken.append((waiter, call))
        if not taken:
            raise self._caller.ledger.spent()
        if len(taken) < len(sized):
            self._say(f"the budget allows {len(taken)} of {len(sized)} calls in this batch")
        return taken
