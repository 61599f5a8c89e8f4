"""Calls that wait until limits and budget let them start. Retries go before first tries."""

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tunesmith.errors import TunesmithError
from tunesmith_jobs.generate.budget import Ledger
from tunesmith_jobs.generate.limiter import Limiter, Start
from tunesmith_jobs.teacher.calls import Answer, Call


@dataclass(order=True)
class _Waiter:
    priority: tuple[int, int]
    call: Call = field(compare=False)
    started: asyncio.Future[tuple[Call, Start]] = field(compare=False)


class StartQueue:
    """The queue in front of the endpoint. Use within one event loop.

    `sized`: gives a call the tokens that its answer is allowed, as the endpoint is known to need them now.
    `end` is the error by which it was closed, and `closed` is set from then on.
    """

    def __init__(self, limiter: Limiter, ledger: Ledger, sized: Callable[[Call], Call]) -> None:
        self.end: TunesmithError | None = None
        self.closed = asyncio.Event()
        self._limiter = limiter
        self._ledger = ledger
        self._sized = sized
        self._waiting: list[_Waiter] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, call: Call, *, again: bool) -> tuple[Call, Start]:
        """Return the call as it is sized when it starts: it is counted as under way and its cost is reserved.

        It is to be finished with its start. Raises `end` once closed.
        """
        if self.end is not None:
            raise self.end
        self._order += 1
        started = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, _Waiter((0 if again else 1, self._order), call, started))
        self.start_ready()
        sized: tuple[Call, Start] = await started
        return sized

    def start_ready(self) -> None:
        """Start all calls that may start now, and set a timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            first = self._waiting[0]
            if first.started.done():  # cancelled meanwhile
                heapq.heappop(self._waiting)
                continue
            now = time.monotonic()
            call = self._sized(first.call)
            wait = self._limiter.wait(now, call.most_tokens)
            if wait > 0:
                if wait != float("inf"):
                    self._timer = asyncio.get_running_loop().call_later(wait, self.start_ready)
                return
            if not self._ledger.reserve(call):
                if self._limiter.in_flight == 0:
                    self.close(self._ledger.spent())
                return
            heapq.heappop(self._waiting)
            first.started.set_result((call, self._limiter.start(now, call.most_tokens)))

    def finish(self, call: Call, start: Start, answer: Answer | None) -> None:
        """A call is over, whatever came of it; the next may start."""
        self._ledger.settle(call, answer)
        used = answer.tokens if answer else 0
        self._limiter.release(time.monotonic(), start, reserved=call.most_tokens, used=used)
        self.start_ready()

    def close(self, error: TunesmithError) -> None:
        """Start no call any more: all that wait, now or later, get the error. The first error stays."""
        self.end = self.end or error
        self.closed.set()
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.started.done():
                waiter.started.set_exception(self.end)
