"""The dataset that a teacher writes. This file connects caller, strategy, progress and stop."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

from tunesmith_jobs.answer_format.bounded import answer_check
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.generate import live_rate, strategies
from tunesmith_jobs.generate.batching import asked_for_rows
from tunesmith_jobs.generate.budget import BudgetSpent
from tunesmith_jobs.generate.caller import Caller
from tunesmith_jobs.generate.calling import caller_of
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.generate.from_documents import documents_of
from tunesmith_jobs.generate.passage_use import PassageUse
from tunesmith_jobs.generate.patience import Patience
from tunesmith_jobs.generate.report import call_report
from tunesmith_jobs.teacher.kinds import endpoint_of


async def dataset_from_teacher(attempt: Attempt, patience: Patience) -> Dataset:
    """The dataset of a request whose rows a teacher writes. Raises TunesmithError."""
    data, teacher = attempt.spec.data, attempt.spec.data.teacher
    dataset = Dataset(data.near_duplicates, data.semantic_duplicates)
    read = documents_of(attempt)
    if read is not None:
        dataset.passages = PassageUse(read.files, len(read.passages))
    passages = read.passages if read else ()
    endpoint, run = endpoint_of(teacher, patience.request), attempt.snapshot.run
    async with caller_of(data, endpoint, attempt.store, run, attempt.id, patience, say=attempt.say) as caller:
        _stop_with(attempt, caller)
        begun = time.monotonic()
        accepted = _progress(attempt, caller, dataset, begun)
        accepted(0)
        with answer_check(attempt.spec.evaluation.format, in_all=math.inf) as form:

            async def work() -> None:
                async with asked_for_rows(attempt, caller, endpoint, patience.batch) as ask:
                    await strategies.fill(
                        caller.ask,
                        attempt.spec,
                        dataset,
                        accepted,
                        form,
                        passages=passages,
                        ask_for_rows=ask,
                    )

            await _fill(attempt, caller, dataset, work())
        dataset.figures = call_report(
            caller.figures,
            seconds=time.monotonic() - begun,
            priced=caller.ledger.priced,
            most_in_flight=caller.limiter.most_in_flight,
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
