"""The batches that an earlier attempt has left behind: found, waited for, and read into the journal."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from tunesmith_jobs.generate.batch_making import Progress, end_of, find, replies_of
from tunesmith_jobs.generate.batch_patience import BatchPatience, lasting
from tunesmith_jobs.generate.batch_records import AskedLine, Record, Records
from tunesmith_jobs.generate.budget import Ledger
from tunesmith_jobs.generate.journal import Entry, Journal
from tunesmith_jobs.teacher.batches import BatchEndpoint, Reply
from tunesmith_jobs.teacher.endpoint import Endpoint


class OpenBatches:
    """The batches of a run whose answers are not in the journal yet.

    `cancel`: they are not waited for: they end with what they have answered so far.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        batches: BatchEndpoint,
        records: Records,
        journal: Journal,
        ledger: Ledger,
        patience: BatchPatience,
        *,
        say: Callable[[str], None],
        progress: Progress,
        cancel: bool,
    ) -> None:
        self._endpoint = endpoint
        self._batches = batches
        self._records = records
        self._journal = journal
        self._ledger = ledger
        self._patience = patience
        self._say = say
        self._progress = progress
        self._cancel = cancel

    async def read(self) -> None:
        """Wait for all of them, and read them."""
        unread = await asyncio.to_thread(self._records.unread)
        await asyncio.gather(*map(self._read, unread))

    async def _read(self, record: Record) -> None:
        if record.url != self._batches.url:
            self._say(f"batch {record.number} was sent to {record.url}, which this run does not ask any more")
            return
        name = await self._name_of(record)
        if not name:
            await asyncio.to_thread(self._records.read, record, "never made")
            return
        if self._cancel:
            await lasting(lambda: self._batches.cancel(name), self._patience)
        self._say(f"{len(record.lines)} calls were sent in batch {name}: waiting for it")
        batch = await end_of(self._batches, record, name, self._patience, self._progress)
        if batch is None:
            self._say(f"batch {name} is not there any more (another key?): its calls are asked anew")
            await asyncio.to_thread(self._records.read, record, "gone")
            return
        replies = await replies_of(self._batches, batch, self._patience)
        answered = [line for line in record.lines if line.key in replies]
        kept = await asyncio.gather(*(self._keep(line, replies[line.key]) for line in answered))
        self._say(f"batch {name} {batch.status}: {sum(kept)} answers")
        await asyncio.to_thread(self._records.read, record, batch.status)

    async def _name_of(self, record: Record) -> str:
        """The batch's name; empty if it was never made."""
        name = await asyncio.to_thread(self._records.name_of, record)
        if name:
            return name
        batch = await find(self._batches, record, self._patience, record.at + self._patience.making)
        if batch is None:
            return ""
        await asyncio.to_thread(self._records.made, record, batch.id)
        return batch.id

    async def _keep(self, line: AskedLine, reply: Reply) -> bool:
        """Journal an answer, and count what it cost. An error costs nothing, and its call is asked again."""
        if reply.status != 200:
            return False
        try:
            answer = replace(self._endpoint.read_answer(reply.body), in_batch=True)
        except ValueError:
            return False
        key = f"{line.key}-{line.allowed}" if self._batches.cut(answer) else line.key
        if self._journal.has(key):
            return True
        estimated = line.text_tokens if not answer.input_tokens and answer.output_tokens else 0
        entry = Entry(key, line.model, line.cell, line.sample, 0.0, answer.raw, estimated, in_batch=True)
        await self._journal.keep(entry)
        if estimated:
            answer = replace(answer, input_tokens=estimated, estimated=True)
        self._ledger.spent_before(line.model, answer)
        self._endpoint.remember(line.model, answer)
        return True
