"""Calls the teacher: as widely as it takes, again where that may help, and never past the budget.

This is the only retry loop.

A call is under way from its start until its answer is in the journal. So whatever ends the process, no more
is paid twice than what was under way.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tunesmith.errors import Stopped, TryAgain, TunesmithError
from tunesmith_jobs.generate.budget import Ledger
from tunesmith_jobs.generate.journal import Journal
from tunesmith_jobs.generate.limiter import Limiter, Start
from tunesmith_jobs.generate.patience import Patience, backoff, time_limit
from tunesmith_jobs.generate.start_queue import StartQueue
from tunesmith_jobs.teacher.calls import Answer, Call
from tunesmith_jobs.teacher.endpoint import Endpoint, Outgrown, Passing, RateLimits, Throttled, Unsupported

T = TypeVar("T")
ALONE = 0.1  # of the first backoff: where other calls are answered meanwhile, a fault is of one call


class Hung(Passing):
    """A call takes far longer than others do."""


@dataclass
class CallFigures:
    """What the calls took."""

    calls: int = 0  # answered in this attempt
    in_batches: int = 0  # of these
    reused: int = 0  # answers that were in the journal
    faults: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0  # of the answers that this result rests on, whenever they were paid


class Caller:
    """The way of every call: journal, queue, endpoint, journal."""

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        ledger: Ledger,
        limiter: Limiter,
        patience: Patience,
        *,
        say: Callable[[str], None],
        seed: int = 0,
    ) -> None:
        self.figures = CallFigures()
        self.limiter = limiter
        self.ledger = ledger
        self._queue = StartQueue(limiter, ledger, endpoint.sized)
        self._endpoint = endpoint
        self.journal = journal
        self._patience = patience
        self._say = say
        self._random = random.Random(seed)
        self._last_answer = time.monotonic()
        self._slowest = 0.0  # answer of this attempt, seconds
        self._sending: set[asyncio.Task[Answer]] = set()

    async def run(self, work: Coroutine[object, object, T]) -> T:
        """The result of work that makes calls.

        Once no call may start any more, the work has a short time to use what is under way.
        """
        task = asyncio.create_task(work)
        closed = asyncio.create_task(self._queue.closed.wait())
        await asyncio.wait({task, closed}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=self._patience.drain)
        for each in (task, closed):
            each.cancel()
        await asyncio.gather(task, closed, return_exceptions=True)
        if task.cancelled() and self._queue.end is not None:
            raise self._queue.end
        return task.result()

    async def ask(self, call: Call) -> Answer:
        """The answer to a call: the journal's, else the teacher's. Raises TunesmithError."""
        return await self.ask_by(call, self.ask_live)

    async def ask_by(self, call: Call, way: Callable[[Call], Awaitable[Answer]]) -> Answer:
        """The answer to a call: the journal's, else what it gets in this way."""
        answer = self.journal.find(call)
        if answer is not None:
            self.figures.reused += 1
        else:
            answer = await way(call)
        self.figures.input_tokens += answer.input_tokens
        self.figures.output_tokens += answer.output_tokens
        self.figures.usd += self.ledger.cost_of(call.model, answer)
        return answer

    def limit_requests(self, per_minute: int) -> None:
        """Start at most so many requests a minute from now on, besides other limits. 0 lifts this one."""
        self.limiter.limit_requests(time.monotonic(), per_minute)
        self._queue.start_ready()

    def stop(self) -> None:
        """Start no further call; those that wait end with Stopped."""
        self._queue.close(
            Stopped(
                "generate was told to stop; the answers so far are in the journal",
                remedy="run again to continue from there",
            )
        )

    async def drain(self) -> None:
        """Let what is under way arrive, for a short time: it is paid for.

        Then give up the rest and write the journal.
        """
        self._queue.close(Stopped("generate has ended"))
        if self._sending:
            await asyncio.wait(self._sending, timeout=self._patience.drain)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self.journal.flush()

    async def ended(self) -> TunesmithError:
        """Wait until no call may start any more; returns why."""
        await self._queue.closed.wait()
        assert self._queue.end is not None
        return self._queue.end

    def end(self, error: TunesmithError) -> None:
        """Start no further call; those that wait end with the error."""
        self._queue.close(error)

    async def ask_live(self, call: Call) -> Answer:
        """The teacher's answer to a call, which is journalled. Raises TunesmithError."""
        tries, hung, again = 0, 0, False
        while True:
            sized, start = await self._queue.start(call, again=again)
            again = True
            # In a task of its own, so that a paid answer is kept even if this one is cancelled
            task = asyncio.create_task(self._send(sized, start, hung))
            self._sending.add(task)
            task.add_done_callback(self._sent)
            try:
                return await asyncio.shield(task)
            except Unsupported as fault:
                self._note_form("unsupported parameter", fault)
            except Outgrown as fault:
                self._note_form("cut off by thoughts", fault)
            except Throttled as fault:
                self._check_throttled(fault)
            except Passing as fault:
                tries += 1
                hung += isinstance(fault, Hung)
                await self._wait_before_retry(fault, tries, start)

    def _sent(self, task: asyncio.Task[Answer]) -> None:
        self._sending.discard(task)
        if not task.cancelled():
            task.exception()  # read, so that asyncio does not warn about an error that was never retrieved

    async def _send(self, call: Call, start: Start, hung: int) -> Answer:
        answer: Answer | None = None
        try:
            answer, announced = await self._send_in_time(call, hung)
            answer = with_input(call, answer)
            self._note_answer(start, answer, announced)
            await self.journal.add(call, answer)
            return answer
        except Outgrown as fault:
            answer = with_input(call, fault.answer)
            self._note_answer(start, answer, RateLimits({}))
            await self.journal.add(call, answer, useless=True)
            raise
        except Passing as fault:
            self._slow_down(start, fault)
            raise
        except TunesmithError as error:
            self._queue.close(error)
            raise
        finally:  # after the fault was handled, so that no waiting call starts into it
            self._queue.finish(call, start, answer)

    async def _send_in_time(self, call: Call, hung: int) -> tuple[Answer, RateLimits]:
        """Send a call, and give it up once the answers to others show that it has hung."""
        sending, begun = asyncio.ensure_future(self._endpoint.send(call)), time.monotonic()
        try:
            while True:
                limit = time_limit(self._patience, self._slowest, self.figures.calls, hung)
                left = begun + limit - time.monotonic()
                if left <= 0 and limit < self._patience.request:  # otherwise the endpoint gives it up itself
                    others = f"where others took {self._slowest:.1f} s"
                    raise Hung(f"no answer in {limit:.1f} s, {others}")
                await asyncio.wait({sending}, timeout=min(max(left, 1.0), self._patience.hung))
                if sending.done():
                    return sending.result()
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.wait({sending})

    def _note_answer(self, start: Start, answer: Answer, announced: RateLimits) -> None:
        now = time.monotonic()
        self._last_answer = now
        self._slowest = max(self._slowest, answer.seconds)
        self.figures.calls += 1
        self.figures.latencies.append(answer.seconds)
        self.limiter.succeeded(answer.seconds)
        for kind, (limit, remaining) in announced.per_minute.items():
            self.limiter.announce(now, start, kind, limit, remaining)
        self._queue.start_ready()

    # What faults mean

    def _note_form(self, name: str, fault: Unsupported | Outgrown) -> None:
        self.figures.faults[name] += 1
        if fault.form:
            self._say(f"the teacher is asked in the form {fault.form} ({fault})")

    def _slow_down(self, start: Start, fault: Passing) -> None:
        if isinstance(fault, Throttled):
            now = time.monotonic()
            self.limiter.refused(now, fault.retry_after, self._random.random(), now - start.at)
        elif fault.overload:
            self.limiter.congested(time.monotonic())
            if fault.retry_after is not None and fault.retry_after <= self._patience.silence:
                self.limiter.pause(time.monotonic(), fault.retry_after)

    def _check_throttled(self, fault: Throttled) -> None:
        self.figures.faults["429"] += 1
        seconds = fault.retry_after or 0.0
        if self._silent() or seconds > self._patience.silence:
            raise self._give_up(
                f"it limits the rate of requests (429), and asks to wait {seconds:g} s: {fault}",
                reason="TeacherThrottled",
            )

    async def _wait_before_retry(self, fault: Passing, tries: int, start: Start) -> None:
        self.figures.faults[str(fault).split(":")[0]] += 1
        if tries >= self._patience.tries or self._silent():
            raise self._give_up(f"{fault} (tried {tries} times)", reason="TeacherUnavailable")
        pause = backoff(tries - 1, self._random.random(), base=self._patience.base)
        if tries == 1 and self._last_answer > start.at:  # others are answered, so it was only this call
            pause *= ALONE
        await asyncio.sleep(pause)

    def _silent(self) -> bool:
        return time.monotonic() - self._last_answer > self._patience.silence

    def _give_up(self, why: str, *, reason: str) -> TryAgain:
        faults = ", ".join(f"{count} x {name}" for name, count in self.figures.faults.most_common())
        error = TryAgain(
            f"the teacher at {self._endpoint.url} does not answer: {why}. "
            f"{self.journal.written} answers of this attempt are saved "
            f"({self.figures.reused} were there before); faults: {faults}",
            reason=reason,
            remedy="check the endpoint; then run again: what is saved is not asked again",
        )
        self._queue.close(error)
        return error


def with_input(call: Call, answer: Answer) -> Answer:
    """The answer with an estimate of what was asked, if the endpoint does not count it."""
    if answer.input_tokens or not answer.output_tokens:
        return answer
    return replace(answer, input_tokens=call.text_tokens, estimated=True)
