"""What a run that asks, or has asked, in batches needs besides its caller, put together."""

import contextlib
from collections.abc import AsyncIterator

from tunesmith.settings import Data
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.generate.batch_patience import BatchPatience
from tunesmith_jobs.generate.batch_records import Records
from tunesmith_jobs.generate.batch_sending import Sending
from tunesmith_jobs.generate.batch_waiting import WaitingCalls
from tunesmith_jobs.generate.batches import Batches
from tunesmith_jobs.generate.caller import Caller
from tunesmith_jobs.generate.open_batches import OpenBatches
from tunesmith_jobs.generate.usable_answers import Ask
from tunesmith_jobs.teacher.endpoint import Endpoint
from tunesmith_jobs.teacher.kinds import batches_of

_LONGEST_NAME = 60  # characters of a batch's name in a progress line


@contextlib.asynccontextmanager
async def asked_for_rows(
    attempt: Attempt, caller: Caller, endpoint: Endpoint, patience: BatchPatience
) -> AsyncIterator[Ask]:
    """How rows are asked for: live, or in batches.

    What earlier attempts have left in batches is read first. In mode live they are cancelled: what they have
    answered so far is used, and the rest is asked live.
    """
    data, records = attempt.spec.data, Records(attempt.store, attempt.snapshot.run)
    batches = batches_of(endpoint)
    if batches is None:
        yield caller.ask
        return

    def progress(name: str, answered: int, calls: int) -> None:
        attempt.progress(answered, calls, "calls answered", phase=f"waiting for {name[:_LONGEST_NAME]}")

    live = data.teacher.mode == "live"
    left_behind = OpenBatches(
        endpoint,
        batches,
        records,
        caller.journal,
        caller.ledger,
        patience,
        say=attempt.say,
        progress=progress,
        cancel=live,
    )
    await left_behind.read()
    if live:
        yield caller.ask
        return
    answers_live = live_models(data)
    waiting = WaitingCalls(caller.journal, patience)
    sending = Sending(caller, batches, records, waiting, patience, say=attempt.say, progress=progress)
    async with Batches(
        caller,
        endpoint,
        waiting,
        sending,
        left_behind,
        most=batches.most_lines,
        say=attempt.say,
        batch_only=lambda model: batches.batch_only and model not in answers_live,
    ) as asking:
        yield asking.ask


def live_models(data: Data) -> frozenset[str]:
    """The models that are asked live for plan and system message."""
    asked = data.has_planned or data.system_message is None
    return frozenset({data.teacher.planner}) if asked else frozenset()
