"""Sends calls in batches, and brings their answers into the journal and to those who wait for them."""

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tunesmith.errors import BadRequest, TryAgain
from tunesmith_jobs.generate.batch_making import Progress, end_of, make, replies_of
from tunesmith_jobs.generate.batch_patience import BatchPatience, pause
from tunesmith_jobs.generate.batch_records import AskedLine, Record, Records
from tunesmith_jobs.generate.batch_rules import files_of, refusal, too_large, too_much
from tunesmith_jobs.generate.batch_waiting import Waiter, WaitingCalls
from tunesmith_jobs.generate.caller import Caller, with_input
from tunesmith_jobs.teacher.batches import Batch, BatchEndpoint, Line, Reply, TooLarge
from tunesmith_jobs.teacher.calls import Call
from tunesmith_jobs.teacher.endpoint import Outgrown, Passing, Unsupported

T = TypeVar("T")


class Sending:
    """The way of calls through the endpoint's batches."""

    def __init__(
        self,
        caller: Caller,
        batches: BatchEndpoint,
        records: Records,
        waiting: WaitingCalls,
        patience: BatchPatience,
        *,
        say: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._caller = caller
        self._batches = batches
        self._records = records
        self._waiting = waiting
        self._patience = patience
        self._say = say
        self._progress = progress
        self._most_lines = batches.most_lines
        self._one_by_one = False  # batches, since the endpoint takes no more at a time
        self._failures = 0  # of batches in a row that were too much

    async def send(self, asked: Sequence[tuple[Waiter, Call]]) -> None:
        """Ask calls in batches, and use what they answer. What is not answered goes on waiting."""
        calls = {self._caller.journal.key(call): (waiter, call) for waiter, call in asked}
        lines = [self._batches.line(key, call) for key, (_, call) in calls.items()]
        files = files_of(lines, self._most_lines, self._batches.most_bytes)
        try:
            if self._one_by_one:
                for file in files:
                    await self._ask_file(file, calls)
                    if self._failures:
                        break  # the rest is sent in smaller ones
            else:
                await _all(self._ask_file(file, calls) for file in files)
        finally:
            for _, call in calls.values():
                self._caller.ledger.settle(call, None, in_batch=True)
        self._check_rounds()

    async def _ask_file(self, file: Sequence[Line], calls: dict[str, tuple[Waiter, Call]]) -> None:
        """Ask the calls of one file; those that are answered, or answered with an error, leave `calls`."""
        record = await self._written_down(file, calls)
        if record is None:
            return  # another process is faster: its batch is waited for first
        data = b"\n".join(line.data for line in file) + b"\n"
        try:
            batch = await make(self._batches, record, data, self._patience)
        except (BadRequest, TooLarge) as error:
            await asyncio.to_thread(self._records.read, record, "refused")
            if isinstance(error, BadRequest):
                raise
            if len(file) == 1:
                raise too_large(len(data), str(error), self._batches.url) from error
            self._take_fewer(len(file), f"no file of {len(data):,} bytes is taken ({error})")
            return
        await asyncio.to_thread(self._records.made, record, batch.id)
        self._say(f"{len(file)} calls were sent in batch {batch.id}")
        ended = await end_of(self._batches, record, batch.id, self._patience, self._progress)
        if ended is None or ended.status == "failed":
            await asyncio.to_thread(self._records.read, record, ended.status if ended else "gone")
            await self._after_failure(ended, batch.id, [calls[line.key][0] for line in file])
            return
        self._failures = 0
        for line in file:
            calls[line.key][0].rounds += 1
        replies = await replies_of(self._batches, ended, self._patience)
        answered = await self._use(file, calls, replies)
        self._say(f"batch {batch.id} {ended.status}: {answered} of {len(file)} answered")
        await asyncio.to_thread(self._records.read, record, ended.status)

    async def _written_down(
        self, file: Sequence[Line], calls: dict[str, tuple[Waiter, Call]]
    ) -> Record | None:
        digest = hashlib.sha256(b"".join(line.data for line in file))
        lines = []
        for line in file:
            call = calls[line.key][1]
            lines.append(
                AskedLine(line.key, call.model, call.cell, call.sample, call.allowed, call.text_tokens)
            )
        now = time.time()
        sha256 = digest.hexdigest()
        digest.update(f"{self._caller.journal.folder} {now}".encode())
        return await asyncio.to_thread(
            self._records.add, digest.hexdigest(), sha256, now, self._batches.url, lines
        )

    async def _after_failure(self, batch: Batch | None, name: str, waiters: Sequence[Waiter]) -> None:
        """Prepare for the next batch. Raises BadRequest if the endpoint would take no such batch either."""
        if batch is None:
            self._say(f"batch {name} is not there any more: its calls are asked anew")
            for waiter in waiters:
                waiter.rounds, waiter.fault = waiter.rounds + 1, "the batch is not there any more"
            return
        if not too_much(batch):
            raise refusal(batch, self._batches.url)
        why = batch.errors[0].message[:200]
        if len(waiters) == 1:
            raise TryAgain(
                f"the teacher at {self._batches.url} takes no batch now, not even of one call: {why}",
                reason="TeacherThrottled",
                remedy="run again once others of your batches have ended; what is answered is kept",
            )
        self._take_fewer(len(waiters), f"batch {name} is too much now ({why})")
        await asyncio.sleep(pause(self._failures, random.random(), self._patience))

    def _take_fewer(self, calls: int, why: str) -> None:
        self._most_lines, self._one_by_one = calls // 2, True
        self._failures += 1
        self._say(f"{why}: batches of at most {self._most_lines} calls, one at a time")

    async def _use(
        self, file: Sequence[Line], calls: dict[str, tuple[Waiter, Call]], replies: dict[str, Reply]
    ) -> int:
        """Journal the answers of a file, then give them to those who wait. Returns how many there are.

        An error that is final is raised once all answers are in the journal.
        """
        taking = []
        for line in file:
            reply = replies.get(line.key)
            if reply is None:
                calls[line.key][0].fault = "it was not answered"
            else:
                taking.append(self._take(line, *calls.pop(line.key), reply))
        return sum(await _all(taking))

    async def _take(self, line: Line, waiter: Waiter, call: Call, reply: Reply) -> bool:
        """Use what a line got; whether it is an answer."""
        caller, answer = self._caller, None
        try:
            answer = replace(with_input(call, self._batches.answer(line, call, reply)), in_batch=True)
            await caller.journal.add(call, answer)
        except Outgrown as fault:
            answer = replace(with_input(call, fault.answer), in_batch=True)
            await caller.journal.add(call, answer, useless=True)
            self._count()
            self._note(waiter, "cut off by thoughts", fault)
            return False
        except Unsupported as fault:
            self._note(waiter, "unsupported parameter", fault)
            return False
        except Passing as fault:
            self._note(waiter, str(fault).split(":")[0], fault)
            return False
        finally:
            caller.ledger.settle(call, answer, in_batch=True)
        self._count()
        self._waiting.give(waiter, answer)
        return True

    def _count(self) -> None:
        self._caller.figures.calls += 1
        self._caller.figures.in_batches += 1

    def _note(self, waiter: Waiter, name: str, fault: Exception) -> None:
        waiter.fault = str(fault)
        self._caller.figures.faults[name] += 1

    def _check_rounds(self) -> None:
        """Raises TryAgain for a call that was in too many batches."""
        for waiter in self._waiting:
            if waiter.rounds >= self._patience.rounds:
                raise TryAgain(
                    f"{waiter.rounds} batches of the teacher at {self._batches.url} have not answered "
                    f"a call: {waiter.fault}",
                    reason="TeacherUnavailable",
                    remedy="check the endpoint; then run again, or set data.teacher.mode to live: what is "
                    "answered is not asked again",
                )


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all works. The first error is raised once all have ended: what the others do is kept."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
