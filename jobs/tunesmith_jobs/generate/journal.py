"""Every answer that was paid for, stored before anybody looks at it, and found again by its call.

Object stores cannot append, so the journal is a set of immutable segments `<run>/generate/journal/<attempt>-<seq>.jsonl`, shared by all
keys of a run and never removed. Whoever adds an answer waits until it is stored: a killed process loses nothing but what was under way.
Answers that come while a segment is being written go into the next one together; a segment is closed after 64 of them.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tunesmith_jobs.generate.calls import Answer, Call, read_answer
from tunesmith_jobs.storage import NotFound, Store

SEGMENT_ANSWERS = 64
SEGMENT_SECONDS = (
    0.05  # least time between two segments, so that a long run does not leave thousands of tiny objects
)
_READERS = 16


@dataclass(frozen=True)
class Entry:
    """A journalled answer. `cell` and `sample` are for people who look into it; the key holds them."""

    key: str
    model: str
    cell: int
    sample: int
    seconds: float
    raw: str

    def answer(self) -> Answer:
        """The answer, as one that is already paid."""
        return read_answer(self.raw, seconds=self.seconds, fresh=False)

    def line(self) -> str:
        """One line of a segment."""
        return json.dumps(
            {
                "key": self.key,
                "model": self.model,
                "cell": self.cell,
                "sample": self.sample,
                "seconds": round(self.seconds, 3),
                "raw": self.raw,
            },
            ensure_ascii=False,
        )


def read_entries(data: bytes) -> Iterator[Entry]:
    """The entries of a segment; a torn or foreign line is left out, since its answer can be asked for again."""
    for line in data.split(b"\n"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            yield Entry(
                entry["key"],
                entry["model"],
                entry["cell"],
                entry["sample"],
                float(entry["seconds"]),
                entry["raw"],
            )


class Journal:
    """The journal of a run, as one attempt reads and extends it. Use within one event loop."""

    def __init__(self, store: Store, run: str, attempt: str) -> None:
        self.folder = f"{run}/generate/journal"
        self.written = 0  # answers added by this attempt
        self._store = store
        self._attempt = attempt
        self._entries: dict[str, Entry] = {}
        self._sequence = 0
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._room = asyncio.Event()

    def load(self) -> None:
        """Read all segments. Where two attempts answered one call, the first segment by name counts for every reader."""
        paths = [entry.path for entry in self._store.list(f"{self.folder}/")]

        def read(path: str) -> bytes:
            try:
                return self._store.read(path)
            except NotFound:  # removed between listing and reading: somebody deleted the run
                return b""

        with ThreadPoolExecutor(_READERS) as pool:
            for data in pool.map(read, sorted(paths)):
                for entry in read_entries(data):
                    self._entries.setdefault(entry.key, entry)
        own = [
            path.rsplit("-", 1)[1].removesuffix(".jsonl")
            for path in paths
            if path.startswith(f"{self.folder}/{self._attempt}-")
        ]
        self._sequence = max((int(number) for number in own if number.isdigit()), default=-1) + 1

    def entries(self) -> Iterator[Entry]:
        """All entries that were loaded or added."""
        yield from self._entries.values()

    def find(self, call: Call) -> Answer | None:
        """The answer to a call, if it was ever paid for in this run."""
        entry = self._entries.get(call.key)
        return entry.answer() if entry else None

    async def add(self, call: Call, answer: Answer) -> None:
        """Store an answer; returns when it is stored. Raises what the store raises."""
        entry = Entry(call.key, call.model, call.cell, call.sample, answer.seconds, answer.raw)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, stored))
        if len(self._waiting) >= SEGMENT_ANSWERS:
            self._room.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_segments())
        await stored

    async def flush(self) -> None:
        """Wait until all that was added is stored."""
        self._room.set()
        if self._writer is not None:
            await self._writer

    async def _write_segments(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:SEGMENT_ANSWERS], self._waiting[SEGMENT_ANSWERS:]
                if len(self._waiting) < SEGMENT_ANSWERS:
                    self._room.clear()
                try:
                    await asyncio.to_thread(
                        self._write_segment, "".join(entry.line() + "\n" for entry, _ in batch).encode()
                    )
                except Exception as error:  # noqa: BLE001 - whoever waits for the batch raises it
                    for _, stored in batch:
                        if not stored.done():
                            stored.set_exception(error)
                    continue
                for entry, stored in batch:
                    self._entries.setdefault(entry.key, entry)
                    self.written += 1
                    if not stored.done():
                        stored.set_result(None)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), SEGMENT_SECONDS)
        finally:
            self._writer = None

    def _write_segment(self, data: bytes) -> None:
        # Pods of one Job share the attempt's name, so a number may be taken since the listing.
        while not self._store.create(f"{self.folder}/{self._attempt}-{self._sequence:06d}.jsonl", data):
            self._sequence += 1
        self._sequence += 1
