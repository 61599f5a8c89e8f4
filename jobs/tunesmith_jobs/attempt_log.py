"""What an attempt says: lines for people, progress, and the log that the store keeps."""

import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tunesmith.events import PROGRESS_SECONDS, Progress
from tunesmith.plain_text import indented, printable
from tunesmith_jobs.log_lines import for_people, without_secrets
from tunesmith_jobs.output import print_line

LOG_LINES = 20_000
"""How many lines the kept log has at most: the last ones."""
LOG_PROGRESS_SECONDS = 30.0
"""The least time between two progress lines of the kept log."""


@dataclass
class _Phase:
    name: str
    began: float
    done: int  # when it began: a resumed stage does not start at 0
    printed: float = float("-inf")

    def seconds_left(self, now: float, done: int, total: int) -> float | None:
        """An estimate from the pace so far; None before there is one."""
        gained = done - self.done
        if not gained:
            return None
        return (now - self.began) / gained * (total - done)


class AttemptLog:
    """The output of one attempt. `about`: the members that identify it in JSON lines."""

    def __init__(self, stage: str, about: Mapping[str, str]) -> None:
        self.about = about
        self._stage = stage
        self._phase: _Phase | None = None
        self._kept: deque[str] = deque(maxlen=LOG_LINES)
        self._last_kept_progress = float("-inf")
        self._output = threading.Lock()

    def say(self, text: str) -> None:
        """Print and keep a line for people."""
        self.keep(text)
        self._print(for_people(indented(without_secrets(text)), self.about))

    def keep(self, text: str) -> None:
        """Keep lines for the store's log without printing them."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._kept.extend(f"{now} {line}" for line in printable(without_secrets(text)).split("\n"))

    def progress(self, done: int, total: int, unit: str, *, phase: str, metrics: Mapping[str, float]) -> None:
        """Print a progress line: the first and last of a phase, and at most one a second between them.

        `metrics`: numbers by name. `eta` among them gives the seconds left, if the stage knows better.
        """
        now = time.monotonic()
        current = self._phase
        if current is None or current.name != phase or done < current.done:
            current = self._phase = _Phase(phase, now, done)
        if done < total and now - current.printed < PROGRESS_SECONDS:
            return
        current.printed = now
        event = Progress(
            stage=self._stage,
            done=done,
            total=total,
            unit=unit,
            phase=phase,
            eta=metrics.get("eta", current.seconds_left(now, done, total)),
            metrics={
                name: value for name, value in metrics.items() if name != "eta" and math.isfinite(value)
            },
        )
        if done >= total or now - self._last_kept_progress >= LOG_PROGRESS_SECONDS:
            self._last_kept_progress = now
            self.keep(event.line())
        self._print(event.line())

    def to_bytes(self) -> bytes:
        """The kept log, as it is stored."""
        return ("\n".join(self._kept) + "\n").encode("utf-8", "backslashreplace")

    def _print(self, text: str) -> None:
        with self._output:
            print_line(text)
