"""Every answer that was paid for: stored before it is used, and found again by its call.

Object stores cannot append, so the journal is a set of immutable segments
`<run>/generate/journal/<attempt>-<seq>.jsonl`, shared by all keys of a run and never removed. Adding an
answer returns when it is stored: a killed process loses only what was under way. Answers that come while a
segment is being written go into the next one together, at most 64 of them.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from tunesmith_jobs.storage import NotFound, Store
from tunesmith_jobs.teacher.calls import Answer, Call

SEGMENT_ANSWERS = 64
SEGMENT_SECONDS = (
    0.05  # between two segments at least, so that a long run does not leave thousands of tiny objects
)
_READERS = 16


@dataclass(frozen=True)
class Entry:
    """An answer in the journal. `cell` and `sample` are for people who read it; the key covers them too.

    `input_tokens`: the estimate of what was asked, if the endpoint does not count it. `in_batch`: it came in
    a batch, and cost what it costs there.
    """

    key: str
    model: str
    cell: int
    sample: int
    seconds: float
    raw: str
    input_tokens: int = 0
    in_batch: bool = False

    def line(self) -> str:
        """One line of a segment."""
        further: dict[str, object] = {"inputTokens": self.input_tokens} if self.input_tokens else {}
        if self.in_batch:
            further["inBatch"] = True
        return json.dumps(
            {
                "key": self.key,
                "model": self.model,
                "cell": self.cell,
                "sample": self.sample,
                "seconds": round(self.seconds, 3),
                **further,
                "raw": self.raw,
            },
            ensure_ascii=False,
        )


def journal_folder(run: str) -> str:
    """Where a run's journal lies in the store."""
    return f"{run}/generate/journal"


def read_entries(data: bytes) -> Iterator[Entry]:
    """The entries of a segment.

    A torn or foreign line is left out, since its answer can be asked for again.
    """
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
                int(entry.get("inputTokens", 0)),
                bool(entry.get("inBatch", False)),
            )


class Journal:
    """The journal of a run, as one attempt reads and extends it. Use within one event loop.

    `read_answer`: the endpoint's, which reads the bodies that are kept. `manner`: what is asked beside the
    calls and changes their answers; only what was asked in the same manner is found.
    """

    def __init__(
        self, store: Store, run: str, attempt: str, *, read_answer: Callable[..., Answer], manner: str = ""
    ) -> None:
        self.folder = journal_folder(run)
        self._manner = manner
        self.written = 0  # answers added by this attempt
        self._store = store
        self._attempt = attempt
        self._read_answer = read_answer
        self._entries: dict[str, Entry] = {}
        self._sequence = 0
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._room = asyncio.Event()

    def load(self) -> None:
        """Read all segments.

        If two attempts answered one call, the first segment by name counts for every reader.
        """
        paths = [entry.path for entry in self._store.list(f"{self.folder}/")]

        def read(path: str) -> bytes:
            try:
                return self._store.read(path)
            except NotFound:  # removed between listing and reading: the run was deleted
                return b""

        with ThreadPoolExecutor(_READERS) as pool:
            for data in pool.map(read, sorted(paths)):
                for entry in read_entries(data):
                    self._entries.setdefault(entry.key, entry)
        prefix = f"{self.folder}/{self._attempt}-"
        numbers = [
            path.removeprefix(prefix).removesuffix(".jsonl") for path in paths if path.startswith(prefix)
        ]
        self._sequence = max((int(number) for number in numbers if number.isdigit()), default=-1) + 1

    def answers(self) -> Iterator[tuple[str, Answer]]:
        """All answers that were loaded or added, each with the model that gave it."""
        for entry in self._entries.values():
            yield entry.model, self._answer(entry)

    def has(self, key: str) -> bool:
        """Whether there is an entry of this name."""
        return key in self._entries

    def paid_by(self, *, batch: bool) -> int:
        """How many answers came in batches, or else live."""
        return sum(entry.in_batch == batch for entry in self._entries.values())

    def find(self, call: Call) -> Answer | None:
        """The answer to a call, if it was ever paid for in this run."""
        entry = self._entries.get(self.key(call))
        return self._answer(entry) if entry else None

    async def add(self, call: Call, answer: Answer, *, useless: bool = False) -> None:
        """Store an answer, and return when it is stored. Raises what the store raises.

        `useless`: it was paid for, but the call is sent again, so it is not found as its answer.
        """
        key = f"{self.key(call)}-{call.allowed}" if useless else self.key(call)
        estimated = answer.input_tokens if answer.estimated else 0
        seconds, raw = answer.seconds, answer.raw
        entry = Entry(key, call.model, call.cell, call.sample, seconds, raw, estimated, answer.in_batch)
        await self.keep(entry)

    async def keep(self, entry: Entry) -> None:
        """Store an entry, and return when it is stored. Raises what the store raises."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, stored))
        if len(self._waiting) >= SEGMENT_ANSWERS:
            self._room.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_segments())
        await stored

    def key(self, call: Call) -> str:
        """The name under which the answer to a call is kept."""
        if not self._manner:
            return call.key
        return hashlib.sha256(f"{call.key}\n{self._manner}".encode()).hexdigest()

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
                lines = "".join(entry.line() + "\n" for entry, _ in batch)
                try:
                    await asyncio.to_thread(self._write_segment, lines.encode())
                except Exception as error:  # noqa: BLE001 - it is raised where the batch is waited for
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

    def _answer(self, entry: Entry) -> Answer:
        answer = self._read_answer(entry.raw, seconds=entry.seconds, fresh=False)
        if entry.input_tokens:
            answer = replace(answer, input_tokens=entry.input_tokens)
        return replace(answer, in_batch=True) if entry.in_batch else answer

    def _write_segment(self, data: bytes) -> None:
        # Pods of one Job share the attempt's name, so a number may be taken since the listing.
        while not self._store.create(f"{self.folder}/{self._attempt}-{self._sequence:06d}.jsonl", data):
            self._sequence += 1
        self._sequence += 1
