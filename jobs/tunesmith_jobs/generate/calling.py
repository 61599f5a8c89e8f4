"""A caller for a run: journal, budget, limits and endpoint put together. It knows what was paid before."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from tunesmith.prices import models_of
from tunesmith.settings import Data
from tunesmith_jobs.generate.budget import Ledger
from tunesmith_jobs.generate.caller import Caller
from tunesmith_jobs.generate.journal import Journal
from tunesmith_jobs.generate.limiter import make_limiter
from tunesmith_jobs.generate.patience import Patience
from tunesmith_jobs.storage import Store
from tunesmith_jobs.teacher.endpoint import Endpoint
from tunesmith_jobs.teacher.members import manner_of


@contextlib.asynccontextmanager
async def caller_of(
    data: Data,
    endpoint: Endpoint,
    store: Store,
    run: str,
    attempt: str,
    patience: Patience,
    *,
    say: Callable[[str], None],
) -> AsyncIterator[Caller]:
    """The caller of one attempt of a run, whose endpoint is open within the block. To be drained there."""
    teacher = data.teacher
    journal = Journal(store, run, attempt, read_answer=endpoint.read_answer, manner=manner_of(teacher))
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
    async with endpoint:
        yield Caller(endpoint, journal, ledger, limiter, patience, say=say, seed=data.seed)
