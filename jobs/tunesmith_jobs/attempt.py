"""One attempt at a stage: what it reads, what it says, where its results go, and how it commits them."""

import contextlib
import math
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue, TypeAdapter

from tunesmith.errors import Gone, Stopped, TryAgain, TunesmithError
from tunesmith.manifest import MANIFEST, PINS, File, Manifest, Pin, stage_folder
from tunesmith.request import Spec
from tunesmith.resolve import Snapshot
from tunesmith.wire import SNAPSHOT_FILE
from tunesmith_jobs.attempt_log import AttemptLog
from tunesmith_jobs.finished import Finished, read_manifest
from tunesmith_jobs.log_lines import attempt_number
from tunesmith_jobs.storage import NotFound, Store, Writer
from tunesmith_jobs.versions import versions

_PINS: TypeAdapter[dict[str, Pin]] = TypeAdapter(dict[str, Pin])


@dataclass(frozen=True)
class Outcome:
    """What a stage reports.

    `metrics`: numbers by name. `details`: anything that later stages and reports need.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    details: dict[str, JsonValue] = field(default_factory=dict)


class Attempt:
    """One attempt at a stage: what it works on, and where its results go."""

    def __init__(self, stage: str, snapshot: Snapshot, store: Store, work: Path, name: str) -> None:
        self.stage = stage
        self.snapshot = snapshot
        self.store = store
        self.work = work  # scratch, which the caller removes
        self.id = name
        self.key = snapshot.key(stage)
        self.folder = stage_folder(snapshot.run, stage, self.key)
        self.started = time.monotonic()
        self.inputs: dict[str, str] = {}
        self.pins: dict[str, Pin] = {}
        self.log = AttemptLog(
            stage,
            {
                "namespace": snapshot.namespace,
                "request": snapshot.name,
                "stage": stage,
                "attempt": attempt_number(name),
            },
        )
        self._files: dict[str, File] = {}
        # A plain flag: setting a threading.Event in a signal handler can wait for a lock that the interrupted
        # code holds.
        self._stopping = False
        self._on_stop: list[Callable[[], None]] = []

    @property
    def spec(self) -> Spec:
        """The resolved request."""
        return self.snapshot.spec

    # What it says

    def say(self, text: str) -> None:
        """Print and keep a line for people."""
        self.log.say(text)

    def keep(self, text: str) -> None:
        """Keep lines for the store's log without printing them."""
        self.log.keep(text)

    def progress(self, done: int, total: int, unit: str, *, phase: str = "", **metrics: float) -> None:
        """Print a progress line, at most one a second.

        `eta=` gives the seconds left, if the stage knows better.
        """
        self.log.progress(done, total, unit, phase=phase, metrics=metrics)

    # Stopping

    @property
    def stopping(self) -> bool:
        """Whether the stage has been told to stop."""
        return self._stopping

    def stop(self) -> None:
        """Ask the stage to stop. Safe in a signal handler and from any thread."""
        self._stopping = True
        for callback in self._on_stop:
            callback()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the stage is told to stop, or at once if it already was.

        It must be quick and take no lock.
        """
        self._on_stop.append(callback)
        if self._stopping:
            callback()

    def check_stop(self) -> None:
        """Raise Stopped if told to stop. Call it between steps, when what a restart needs has been saved."""
        if self.stopping:
            raise Stopped(
                f"{self.stage} was told to stop; its work so far is saved",
                remedy="run again to continue from there",
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
        """The pin of something outside the store.

        It is found once; all attempts at this key then use the same one.
        """
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
        """Stream a file of the result. It appears whole, or not at all."""
        with self.store.writer(self._place(name)) as out:
            yield out
        self._files[name] = out.digest.model_copy(update={"path": name})

    def adopt(self, file: File, attempt: str) -> None:
        """Make a file that an earlier attempt has stored part of this result. The store itself copies it."""
        self.store.copy(f"{self.folder}/attempts/{attempt}/{file.path}", self._place(file.path))
        self._files[file.path] = file

    def _place(self, name: str) -> str:
        return f"{self.folder}/attempts/{self.id}/{name}"

    # How it ends

    def commit(self, outcome: Outcome) -> tuple[Manifest, bool]:
        """Write the manifest.

        Returns the manifest that counts, and whether it is another attempt's, which this one then adopts.
        """
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
            metrics=self._finite(outcome.metrics),
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

    def _finite(self, metrics: dict[str, float]) -> dict[str, float]:
        """The metrics that JSON can hold: it has no NaN and no infinity."""
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        if left_out := sorted(metrics.keys() - finite.keys()):
            self.say(f"left out of the metrics because they are not finite: {', '.join(left_out)}")
        return finite

    def committed(self) -> Manifest | None:
        """The manifest of this key, from whichever attempt; None if no attempt has committed one."""
        return read_manifest(self.store, self.snapshot.run, self.stage, self.key)

    def clean_up(self, winner: Manifest) -> None:
        """Remove what only an unfinished key needs: losing attempts, checkpoints, unfinished uploads.

        If that fails, it costs nothing but space.
        """
        kept = (f"{self.folder}/{MANIFEST}", f"{winner.folder}/", f"{self.folder}/logs/")
        try:
            paths = [entry.path for entry in self.store.list(f"{self.folder}/")]
            self.store.delete(
                path for path in paths if not path.startswith(kept) and not path.endswith(f".{PINS}")
            )
            self.store.abort_uploads(f"{self.folder}/")
        except TunesmithError as error:
            self.say(f"left unfinished files at {self.store.url}/{self.folder}: {error.message}")

    def keep_request(self) -> None:
        """Keep the snapshot in the store as what the run was last asked for.

        If that fails, the stage continues.
        """
        path, data = f"{self.snapshot.run}/{SNAPSHOT_FILE}", self.snapshot.to_json().encode()
        try:
            if self.store.size(path) != len(data) or self.store.read(path) != data:
                self.store.write(path, data)
        except TunesmithError as error:
            self.say(f"the request could not be kept at {self.store.url}/{path}: {error.message}")

    def keep_log(self) -> None:
        """Keep the log in the store. If that fails, the stage has not failed."""
        with contextlib.suppress(TunesmithError):
            self.store.write(f"{self.folder}/logs/{self.id}.log", self.log.to_bytes())


def new_attempt(prefix: str = "") -> str:
    """A name that no other attempt has, even one that was given the same `prefix`.

    Without a prefix it begins with the time.
    """
    return f"{prefix or f'{datetime.now(UTC):%Y%m%dT%H%M%S}'}-{secrets.token_hex(3)}"
