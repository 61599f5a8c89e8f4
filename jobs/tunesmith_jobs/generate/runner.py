"""Asks the teacher: as wide as it takes, again where that may help, never past the budget. The only retry loop there is.

A call is under way from its start until its answer is in the journal; so whatever ends the process, no more is paid twice than what was
under way. Retries go before first tries.
"""

import asyncio
import heapq
import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TypeVar

from tunesmith.errors import BadData, BadRequest, Stopped, TryAgain, TunesmithError
from tunesmith.wire import TEACHER_TIMEOUT
from tunesmith_jobs.generate.budget import Ledger
from tunesmith_jobs.generate.calls import Answer, Call
from tunesmith_jobs.generate.gates import Gates, backoff
from tunesmith_jobs.generate.journal import Journal
from tunesmith_jobs.generate.teacher import Endpoint, Passing, Throttled, Unsupported

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long faults are borne, in seconds."""

    request: float = 180.0  # one request; TUNESMITH_TEACHER_TIMEOUT sets another
    tries: int = 6  # of one call; 429 does not count, it is waited for
    silence: float = 120.0  # faults and no answer at all for this long
    drain: float = 5.0  # what is under way when the stage has to end
    base: float = 0.5  # of the backoff

    @classmethod
    def from_environment(cls) -> "Patience":
        """Defaults, with the request's time limit from TUNESMITH_TEACHER_TIMEOUT (seconds)."""
        given = os.environ.get(TEACHER_TIMEOUT, "")
        if not given:
            return cls()
        try:
            seconds = float(given)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise BadRequest(
                f"{TEACHER_TIMEOUT} is no number of seconds: {given!r}",
                remedy="set it to a number above 0 in stages.generate.env",
            )
        return cls(request=seconds)


@dataclass
class Figures:
    """What asking took."""

    calls: int = 0  # answered in this attempt
    reused: int = 0  # found in the journal
    faults: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    most_in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0  # of the answers that this result rests on, whenever they were paid
    begun: float = field(default_factory=time.monotonic)


@dataclass(order=True)
class _Waiter:
    priority: tuple[int, int]
    call: Call = field(compare=False)
    go: asyncio.Future[None] = field(compare=False)


class Runner:
    """The way of every call: journal, gates, budget, endpoint, journal."""

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        ledger: Ledger,
        gates: Gates,
        patience: Patience,
        *,
        say: Callable[[str], None],
        seed: int = 0,
    ) -> None:
        self.figures = Figures()
        self.gates = gates
        self.ledger = ledger
        self._endpoint = endpoint
        self._journal = journal
        self._patience = patience
        self._say = say
        self._random = random.Random(seed)
        self._waiting: list[_Waiter] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last_answer = time.monotonic()
        self._end: TunesmithError | None = None
        self._ended = asyncio.Event()
        self._sending: set[asyncio.Task[Answer]] = set()

    async def run(self, work: Coroutine[object, object, T]) -> T:
        """The result of work that asks. Once nothing may be asked any more, it has a short time to use what is under way."""
        task = asyncio.create_task(work)
        ended = asyncio.create_task(self._ended.wait())
        await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=self._patience.drain)
        for each in (task, ended):
            each.cancel()
        await asyncio.gather(task, ended, return_exceptions=True)
        if task.cancelled() and self._end is not None:
            raise self._end
        return task.result()

    async def ask(self, call: Call) -> Answer:
        """The answer to a call: the journal's, else the teacher's. Raises TunesmithError."""
        if (answer := self._journal.find(call)) is not None:
            self.figures.reused += 1
        else:
            answer = await self._ask_teacher(call)
        self.figures.input_tokens += answer.input_tokens
        self.figures.output_tokens += answer.output_tokens
        self.figures.usd += self.ledger.cost(call.model, answer.input_tokens, answer.output_tokens)
        return answer

    def limit_requests(self, per_minute: int) -> None:
        """Start at most so many requests a minute from now on, beside every other limit. 0: no such limit."""
        self.gates.limit_requests(time.monotonic(), per_minute)
        self._pump()

    def stop(self) -> None:
        """No further call starts; those that wait end with Stopped."""
        self._fail(
            Stopped(
                "generate was told to stop; the answers so far are in the journal",
                remedy="run again to go on from there",
            )
        )

    async def drain(self) -> None:
        """Let what is under way arrive, for a short time: it is paid for. Then give up the rest and write the journal out."""
        self._fail(self._end or Stopped("generate has ended"))
        if self._sending:
            await asyncio.wait(self._sending, timeout=self._patience.drain)
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._journal.flush()

    async def _ask_teacher(self, call: Call) -> Answer:
        tries = 0
        while True:
            await self._admitted(call, again=tries > 0)
            # A task of its own: whoever waits for the answer may be cancelled, a paid answer is journalled all the same.
            task = asyncio.create_task(self._send(call))
            self._sending.add(task)
            task.add_done_callback(self._sent)
            try:
                return await asyncio.shield(task)
            except Unsupported as fault:
                self._adopt(fault)
            except Throttled as fault:
                self._throttled(fault)
            except Passing as fault:
                tries += 1
                await self._bear(fault, tries)

    def _sent(self, task: asyncio.Task[Answer]) -> None:
        self._sending.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, also where nobody waits for it any more

    async def _send(self, call: Call) -> Answer:
        reserved = call.input_tokens + call.max_tokens
        answer: Answer | None = None
        try:
            answer, headers = await self._endpoint.send(call)
            now = time.monotonic()
            self._last_answer = now
            self.figures.calls += 1
            self.figures.latencies.append(answer.seconds)
            used = answer.input_tokens + answer.output_tokens
            self.gates.succeeded(now, answer.seconds, reserved=reserved, used=used)
            for kind, (limit, remaining) in headers.limits.items():
                self.gates.announce(now, kind, limit, remaining)
            self._pump()
            await self._journal.add(call, answer)
            return answer
        except Passing as fault:
            self._push_back(fault)
            raise
        except TunesmithError as error:
            self._fail(error)
            raise
        finally:  # after what the fault means: who waits must not start into it
            self.ledger.settle(call, answer)
            self.gates.release()
            self._pump()

    # What faults mean

    def _adopt(self, fault: Unsupported) -> None:
        self.figures.faults["unsupported parameter"] += 1
        if fault.dialect != self._endpoint.dialect:
            self._endpoint.dialect = fault.dialect
            kind = "" if fault.dialect.temperature else ", without a temperature: it takes none"
            self._say(
                f"the teacher is asked in the form {fault.dialect.level} with {fault.dialect.tokens}{kind} ({fault})"
            )

    def _push_back(self, fault: Passing) -> None:
        if isinstance(fault, Throttled):
            self.gates.refused(time.monotonic(), fault.retry_after, self._random.random())
        elif fault.overload:
            self.gates.congested(time.monotonic())

    def _throttled(self, fault: Throttled) -> None:
        self.figures.faults["429"] += 1
        asked = fault.retry_after or 0.0
        if self._silent() or asked > self._patience.silence:
            raise self._gave_up(
                f"it limits the rate of requests (429), and asks to wait {asked:g} s: {fault}",
                "TeacherThrottled",
            )

    async def _bear(self, fault: Passing, tries: int) -> None:
        self.figures.faults[str(fault).split(":")[0]] += 1
        if tries >= self._patience.tries or self._silent():
            raise self._gave_up(f"{fault} (tried {tries} times)", "TeacherUnavailable")
        await asyncio.sleep(backoff(tries - 1, self._random.random(), base=self._patience.base))

    def _silent(self) -> bool:
        return time.monotonic() - self._last_answer > self._patience.silence

    def _gave_up(self, why: str, reason: str) -> TryAgain:
        faults = ", ".join(f"{count} x {name}" for name, count in self.figures.faults.most_common())
        error = TryAgain(
            f"the teacher at {self._endpoint.url} does not answer: {why}. "
            f"{self._journal.written} answers of this attempt are saved ({self.figures.reused} were there); faults: {faults}",
            reason=reason,
            remedy="check the endpoint; then run again: what is saved is not asked again",
        )
        self._fail(error)
        return error

    def _fail(self, error: TunesmithError) -> None:
        """Nothing starts any more: everybody who waits, or will, gets the error."""
        self._end = self._end or error
        self._ended.set()
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.go.done():
                waiter.go.set_exception(self._end)

    # Who may start when

    async def _admitted(self, call: Call, *, again: bool) -> None:
        if self._end is not None:
            raise self._end
        self._order += 1
        waiter = _Waiter((0 if again else 1, self._order), call, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiter)
        self._pump()
        await waiter.go

    def _pump(self) -> None:
        """Start all that may start now; come back when the next may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            first = self._waiting[0]
            if first.go.done():  # cancelled meanwhile
                heapq.heappop(self._waiting)
                continue
            now = time.monotonic()
            tokens = first.call.input_tokens + first.call.max_tokens
            wait = self.gates.wait(now, tokens)
            if wait > 0:
                if wait != float("inf"):
                    self._timer = asyncio.get_running_loop().call_later(wait, self._pump)
                return
            if not self.ledger.reserve(first.call):
                if self.gates.in_flight == 0:
                    self._fail(self._spent())
                return
            heapq.heappop(self._waiting)
            self.gates.start(now, tokens)
            self.figures.most_in_flight = max(self.figures.most_in_flight, self.gates.in_flight)
            first.go.set_result(None)

    def _spent(self) -> BadData:
        return BadData(
            f"the budget is spent: {self.ledger}",
            reason="BudgetSpent",
            remedy="raise data.budget (that changes no key: what is paid for is used), or ask for fewer examples",
        )
