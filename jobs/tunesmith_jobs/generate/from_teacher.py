"""The dataset that a teacher writes. This file connects journal, budget, limits, endpoint and strategy."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

from tunesmith.prices import models_of
from tunesmith_jobs.answer_format.bounded import answer_check
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.generate import live_rate, strategies
from tunesmith_jobs.generate.budget import BudgetSpent, Ledger
from tunesmith_jobs.generate.caller import Caller
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.generate.journal import Journal
from tunesmith_jobs.generate.limiter import make_limiter
from tunesmith_jobs.generate.patience import Patience
from tunesmith_jobs.generate.report import call_report
from tunesmith_jobs.teacher.kinds import endpoint_of
from tunesmith_jobs.teacher.members import manner_of


async def dataset_from_teacher(attempt: Attempt, patience: Patience) -> Dataset:
    """The dataset of a request whose rows a teacher writes. Raises TunesmithError."""
    data, teacher = attempt.spec.data, attempt.spec.data.teacher
    endpoint = endpoint_of(teacher, patience.request)
    journal = Journal(
        attempt.store,
        attempt.snapshot.run,
        attempt.id,
        read_answer=endpoint.read_answer,
        manner=manner_of(teacher),
    )
    await asyncio.to_thread(journal.load)
    ledger = Ledger(data.budget, models_of(data))
    for model, answer in journal.answers():
        ledger.spent_before(model, answer)
        endpoint.remember(model, answer)
    limiter = make_limiter(
        time.monotonic(),
        most=teacher.max_concurrency,
        requests_per_minute=teacher.requests_per_minute,
        tokens_per_minute=teacher.tokens_per_minute,
        time_limit=patience.request,
    )
    dataset = Dataset(data.near_duplicates, data.semantic_duplicates)
    async with endpoint:
        caller = Caller(endpoint, journal, ledger, limiter, patience, say=attempt.say, seed=data.seed)
        _stop_with(attempt, caller)
        begun = time.monotonic()
        accepted = _progress(attempt, caller, dataset, begun)
        accepted(0)
        with answer_check(attempt.spec.evaluation.format, in_all=math.inf) as form:
            work = strategies.fill(caller.ask, attempt.spec, dataset, accepted, form)
            await _fill(attempt, caller, dataset, work)
        dataset.figures = call_report(
            caller.figures,
            seconds=time.monotonic() - begun,
            priced=ledger.priced,
            most_in_flight=limiter.most_in_flight,
            widest=teacher.max_concurrency,
            requests_per_minute=teacher.requests_per_minute,
        )
    return dataset


async def _fill(attempt: Attempt, caller: Caller, dataset: Dataset, work: Coroutine[Any, Any, None]) -> None:
    following = asyncio.create_task(live_rate.follow(caller.limit_requests, attempt.say))
    await asyncio.sleep(0)  # the file is read once before the first request
    try:
        await caller.run(work)
    except BudgetSpent as error:
        error.message += f"; {len(dataset.rows)} of {attempt.spec.data.examples} rows were accepted"
        raise
    finally:
        following.cancel()
        await caller.drain()


def _progress(attempt: Attempt, caller: Caller, dataset: Dataset, begun: float) -> Callable[[int], None]:
    """Tells how many rows are accepted, at what cost and speed."""
    data, ledger = attempt.spec.data, caller.ledger

    def accepted(rows: int) -> None:
        minutes = max(1e-9, (time.monotonic() - begun) / 60)
        spent = {"usd": round(ledger.usd, 6)} if ledger.priced else {}
        attempt.progress(
            rows,
            data.examples,
            "rows",
            phase=data.strategy,
            tokens=ledger.tokens,
            rejected=len(dataset.rejected),
            inFlight=caller.limiter.in_flight,
            callsPerMinute=round(caller.figures.calls / minutes, 1),
            **spent,
        )

    return accepted


def _stop_with(attempt: Attempt, caller: Caller) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(caller.stop)

    attempt.on_stop(stop)
    if attempt.stopping:
        caller.stop()
