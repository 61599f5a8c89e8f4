"""Threads that last: each survives an exception, says so in a metric, and shows whether it lives."""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

Count = Callable[[str], None]  # called with the kind of a thread that has survived an exception
SILENT = 300.0  # seconds without a sign of life after which a thread hangs; each call ends far sooner
BUG = "a bug in the controller; please report it"
PAUSE = 1.0  # seconds after an exception, which could come again at once


class Lasting(threading.Thread):
    """Takes one step after another until `stopped` is set. An exception ends a step, not the thread.

    `kind` is its name in the metric. `silent`: seconds after `beat` within which the next one must come;
    after `rest` it may take any time, since a thread without work waits.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: str = "",
        silent: float = SILENT,
        count: Count = lambda _kind: None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.kind = kind or name
        self.silent = silent
        self.count = count
        self.stopped = threading.Event()
        self._beat: float | None = None

    def step(self) -> None:
        """What the thread does again and again."""
        raise NotImplementedError

    def beat(self) -> None:
        """A sign of life."""
        self._beat = time.monotonic()

    def rest(self) -> None:
        """Nothing is to be done: silence is no bad sign from now on."""
        self._beat = None

    def run(self) -> None:
        """Runs until `stopped` is set."""
        while not self.stopped.is_set():
            self.beat()
            try:
                self.step()
            except Exception:
                log.exception("%s: %s", self.name, BUG)
                self.count(self.kind)
                self.stopped.wait(PAUSE)

    def wrong(self) -> list[str]:
        """What is wrong with it, for the liveness probe: it has ended, or hangs."""
        if not self.ident or self.stopped.is_set():
            return []
        if not self.is_alive():
            return [f"{self.name} has ended"]
        seen = self._beat
        quiet = 0.0 if seen is None else time.monotonic() - seen
        return [f"{self.name} is silent for {quiet:.0f} s"] if quiet > self.silent else []
