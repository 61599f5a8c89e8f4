"""One attempt at a stage: what it reads, what it says, where its results go, and how it commits them."""

import contextlib
import importlib.metadata
import math
import os
import platform
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

import tunesmith
from tunesmith.errors import Gone, Stopped, TryAgain, TunesmithError
from tunesmith.events import PROGRESS_SECONDS, Progress
from tunesmith.manifest import MANIFEST, PINS, File, Manifest, Pin, stage_folder
from tunesmith.request import Spec
from tunesmith.resolve import Snapshot
from tunesmith.wire import SNAPSHOT_FILE
from tunesmith_jobs.finished import Finished, read_manifest
from tunesmith_jobs.log_lines import attempt_number, for_people, without_secrets
from tunesmith_jobs.storage import NotFound, Store, Writer

LOG_LINES = 20_000  # kept in the store at most, the last ones
LOG_PROGRESS_SECONDS = 30.0  # least time between two progress lines of the kept log
_VERSIONED = (
    "openai",
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "accelerate",
    "safetensors",
    "boto3",
)
_PINS: TypeAdapter[dict[str, Pin]] = TypeAdapter(dict[str, Pin])


@dataclass(frozen=True)
class Outcome:
    """What a stage reports: `metrics` are numbers by name, `details` anything later stages and reports need."""

    metrics: dict[str, float] = field(default_factory=dict)
    details: dict[str, JsonValue] = field(default_factory=dict)


@dataclass
class _Phase:
    name: str
    began: float
    done: int  # at its beginning: a resumed stage does not start at 0
    said: float


class Attempt:
    """One attempt at a stage: what it works on, and where its results go."""

    def __init__(self, stage: str, snapshot: Snapshot, store: Store, work: Path, name: str) -> None:
        self.stage = stage
        self.snapshot = snapshot
        self.store = store
        self.work = work  # scratch, removed by whoever gave it
        self.id = name
        self.key = snapshot.key(stage)
        self.folder = stage_folder(snapshot.run, stage, self.key)
        self.started = time.monotonic()
        self.inputs: dict[str, str] = {}
        self.pins: dict[str, Pin] = {}
        self._files: dict[str, File] = {}
        # A plain flag: setting a threading.Event in a signal handler can wait for a lock that the interrupted code holds.
        self._stopping = False
        self._on_stop: list[Callable[[], None]] = []
        self._phase: _Phase | None = None
        self._kept: deque[str] = deque(maxlen=LOG_LINES)
        self._last_kept_progress = float("-inf")
        self._output = threading.Lock()

    @property
    def spec(self) -> Spec:
        """The resolved request."""
        return self.snapshot.spec

    # What it says

    @property
    def about(self) -> dict[str, str]:
        """What its log lines are about."""
        who = self.snapshot
        return {
            "namespace": who.namespace,
            "request": who.name,
            "stage": self.stage,
            "attempt": attempt_number(self.id),
        }

    def say(self, text: str) -> None:
        """A log line for people."""
        self.keep(text)
        self._print(for_people(without_secrets(text), self.about))

    def keep(self, text: str) -> None:
        """Put lines into the log that the store keeps, without printing them."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._kept.extend(f"{now} {line}" for line in without_secrets(text).splitlines() or [""])

    def progress(self, done: int, total: int, unit: str, *, phase: str = "", **metrics: float) -> None:
        """A progress line, at most one a second, except the first and last of a phase. `eta=` gives the seconds left, if known better."""
        now = time.monotonic()
        current = self._phase
        if current is None or current.name != phase or done < current.done:
            current = self._phase = _Phase(phase, now, done, float("-inf"))
        if done < total and now - current.said < PROGRESS_SECONDS:
            return
        current.said = now
        gained = done - current.done
        eta = metrics.pop("eta", (now - current.began) / gained * (total - done) if gained else None)
        numbers = {name: value for name, value in metrics.items() if math.isfinite(value)}  # JSON has no NaN
        event = Progress(
            stage=self.stage, done=done, total=total, unit=unit, phase=phase, eta=eta, metrics=numbers
        )
        if done >= total or now - self._last_kept_progress >= LOG_PROGRESS_SECONDS:
            self._last_kept_progress = now
            self.keep(event.line())
        self._print(event.line())

    def _print(self, text: str) -> None:
        with self._output:
            print_line(text)

    # Stopping

    @property
    def stopping(self) -> bool:
        """Whether the stage was told to stop."""
        return self._stopping

    def stop(self) -> None:
        """Ask the stage to stop; safe in a signal handler and from any thread."""
        self._stopping = True
        for callback in self._on_stop:
            callback()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call this (quick, takes no lock) when told to stop; at once if that was already so."""
        self._on_stop.append(callback)
        if self._stopping:
            callback()

    def check_stop(self) -> None:
        """Raise Stopped if told to stop. Call between steps, with what a restart needs already saved."""
        if self.stopping:
            raise Stopped(
                f"{self.stage} was told to stop; what it had is saved", remedy="run again to go on from there"
            )

    # What it reads

    def finished(self, name: str) -> Finished:
        """An earlier stage of this run. Raises Gone if its manifest is not in the store."""
        key = self.snapshot.key(name)
        manifest = read_manifest(self.store, self.snapshot.run, name, key)
        if manifest is None:
            raise Gone(
                f"{name} has no result at {self.store.url}/{stage_folder(self.snapshot.run, name, key)}",
                remedy=f"run {name} again (`tunesmith run`, or `rerun: {{from: {name}, id: <new>}}`)",
            )
        self.inputs[name] = key
        return Finished(self.store, manifest, self.work / "inputs")

    def pin(self, name: str, find: Callable[[], Pin]) -> Pin:
        """The pin of an outside thing: found once per key, the same for all attempts of this key."""
        path = f"{self.folder}/{name}.{PINS}"
        try:
            data = self.store.read(path)
        except NotFound:
            data = _PINS.dump_json({name: find()}, by_alias=True)
            if not self.store.create(path, data):
                data = self.store.read(path)
        self.pins[name] = _PINS.validate_json(data)[name]
        return self.pins[name]

    # What it leaves

    def put_bytes(self, name: str, data: bytes) -> File:
        """Store a small file of the result."""
        with self.writer(name) as out:
            out.write(data)
        return self._files[name]

    def put_file(self, name: str, source: Path) -> File:
        """Store a local file as part of the result."""
        self._files[name] = self.store.upload(self._place(name), source).model_copy(update={"path": name})
        return self._files[name]

    @contextlib.contextmanager
    def writer(self, name: str) -> Iterator[Writer]:
        """Stream a file of the result; it appears whole, or not at all."""
        with self.store.writer(self._place(name)) as out:
            yield out
        self._files[name] = out.digest.model_copy(update={"path": name})

    def adopt(self, file: File, attempt: str) -> None:
        """Make a file that an earlier attempt left whole part of the result, by a copy that the store makes itself."""
        self.store.copy(f"{self.folder}/attempts/{attempt}/{file.path}", self._place(file.path))
        self._files[file.path] = file

    def _place(self, name: str) -> str:
        return f"{self.folder}/attempts/{self.id}/{name}"

    def commit(self, outcome: Outcome) -> tuple[Manifest, bool]:
        """Write the manifest. Returns the one that counts, and whether it is another attempt's, which then is adopted."""
        metrics = {
            name: value for name, value in outcome.metrics.items() if math.isfinite(value)
        }  # JSON has no NaN
        if left_out := sorted(outcome.metrics.keys() - metrics.keys()):
            self.say(f"left out of the metrics, being no finite numbers: {', '.join(left_out)}")
        manifest = Manifest(
            run=self.snapshot.run,
            stage=self.stage,
            key=self.key,
            attempt=self.id,
            created=datetime.now(UTC),
            seconds=round(time.monotonic() - self.started, 3),
            files=tuple(self._files[name] for name in sorted(self._files)),
            inputs=self.inputs,
            pins=self.pins,
            metrics=metrics,
            details=outcome.details,
            versions=versions(),
        )
        if self.store.create(f"{self.folder}/{MANIFEST}", manifest.to_bytes()):
            self.clean_up(manifest)
            return manifest, False
        winner = self.committed()
        if winner is None:
            raise TryAgain(f"{self.store.url}/{self.folder}/{MANIFEST} was there and is gone again")
        self.clean_up(winner)
        return winner, True

    def committed(self) -> Manifest | None:
        """The manifest of this key, whoever wrote it."""
        return read_manifest(self.store, self.snapshot.run, self.stage, self.key)

    def clean_up(self, winner: Manifest) -> None:
        """Remove what only an unfinished key needs: losing attempts, checkpoints, unfinished uploads. A fault here costs space only."""
        kept = (f"{self.folder}/{MANIFEST}", f"{winner.folder}/", f"{self.folder}/logs/")
        try:
            below = [entry.path for entry in self.store.list(f"{self.folder}/")]
            self.store.delete(
                [path for path in below if not path.startswith(kept) and not path.endswith(f".{PINS}")]
            )
            self.store.abort_uploads(f"{self.folder}/")
        except TunesmithError as error:
            self.say(f"left unfinished pieces at {self.store.url}/{self.folder}: {error.message}")

    def keep_request(self) -> None:
        """Keep the snapshot as what the run was last asked for, for people and for `tunesmith` later on; a fault here stops nothing."""
        path, data = f"{self.snapshot.run}/{SNAPSHOT_FILE}", self.snapshot.to_json().encode()
        try:
            if self.store.size(path) != len(data) or self.store.read(path) != data:
                self.store.write(path, data)
        except TunesmithError as error:
            self.say(f"the request could not be kept at {self.store.url}/{path}: {error.message}")

    def keep_log(self) -> None:
        """Keep what the attempt said in the store, beside the attempts; a fault here is not the stage's."""
        with contextlib.suppress(TunesmithError):
            self.store.write(
                f"{self.folder}/logs/{self.id}.log",
                ("\n".join(self._kept) + "\n").encode("utf-8", "backslashreplace"),
            )


def print_line(text: str) -> None:
    """A whole line on standard output. Whoever read it may be gone; that must not cost the work done so far."""
    try:
        sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence()


def silence() -> None:
    """From now on standard output and error go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def versions() -> dict[str, str]:
    """Versions of everything that may change a result."""
    found = {"tunesmith": tunesmith.__version__, "python": platform.python_version()}
    for name in _VERSIONED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def new_attempt(prefix: str = "") -> str:
    """A name that no other attempt has: two processes may be given the same `prefix`. Without one it begins with the time."""
    return f"{prefix or f'{datetime.now(UTC):%Y%m%dT%H%M%S}'}-{secrets.token_hex(3)}"
