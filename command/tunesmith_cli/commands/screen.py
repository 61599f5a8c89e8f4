"""A run as a person sees it, on standard error: bars on a terminal, else plain lines at a bounded rate."""

import contextlib
import sys
import time
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol, Self

from tunesmith.events import Progress, Result
from tunesmith.plain_text import indented, one_line
from tunesmith_cli.commands.terminal import duration, fancy
from tunesmith_cli.local.run_events import Begun, Ended, Event, Line, Note, Started

if TYPE_CHECKING:
    from rich.progress import TaskID

PLAIN_SECONDS = 10.0  # least time between two progress lines without a terminal
SHOWN_METRICS = ("loss", "evalLoss", "accepted", "rejected", "usd")


class Screen(Protocol):
    """Shows events; a `with` block holds the terminal."""

    def __call__(self, event: Event) -> None:
        """Show an event."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def screen(*, verbose: bool) -> Screen:
    """The screen for this terminal. `verbose`: it shows the stages' own lines, too."""
    return BarScreen(verbose=verbose) if fancy(sys.stderr) else LineScreen(sys.stderr, verbose=verbose)


def sentences(event: Event, *, verbose: bool) -> list[str]:
    """An event in words; progress has none."""
    match event:
        case Begun():
            lines = [f"run {event.run} in {event.store}"]
            if event.changes:
                lines += ["changed since the last run:", *(f"  {change}" for change in event.changes)]
            if event.reused:
                lines.append(f"reused, finished earlier: {', '.join(event.reused)}")
            return [*lines, *event.estimate]
        case Started():
            return [f"{event.stage}: {'started' if event.attempt == 1 else f'try {event.attempt}'}"]
        case Result(exit_code=0):
            end = "already done" if event.adopted else f"done in {duration(event.seconds)}"
            return [f"{event.stage}: {end}"]
        case Line():
            return [f"{event.stage}| {event.text}"] if verbose else []
        case Note():
            return event.text.split("\n")
        case Ended() if not event.well:
            return _failure(event, verbose=verbose)
    return []


def progress_text(event: Progress) -> str:
    """`34/60 steps, loss 0.412`; of bytes `model 12.5/100.0 MiB, 3.1 MiB/s`."""
    phase = f"{event.phase} " if event.phase else ""
    if event.unit == "bytes":
        rate = event.metrics.get("bytesPerSecond")
        speed = f", {rate / 2**20:.1f} MiB/s" if rate else ""
        return f"{phase}{event.done / 2**20:.1f}/{event.total / 2**20:.1f} MiB{speed}"
    metrics = [f"{name} {event.metrics[name]:.4g}" for name in SHOWN_METRICS if name in event.metrics]
    return ", ".join([f"{phase}{event.done}/{event.total} {event.unit}", *metrics])


def _failure(end: Ended, *, verbose: bool) -> list[str]:
    lines = []
    if end.tail and not verbose:
        lines += [f"the last lines of {end.stage}:", *(f"  {line}" for line in end.tail)]
    first, *rest = (end.message or "failed").split("\n")
    word = "" if end.reason == "Stopped" else f"{end.reason}: "
    lines += [f"{word}{first}", *(f"  {line}" for line in rest)]
    if end.remedy:
        lines.append(f"What to do: {end.remedy}")
    if end.log:
        lines.append(f"Log: {end.log}")
    return lines


class LineScreen:
    """Plain lines, not one escape byte."""

    def __init__(self, stream: IO[str], *, verbose: bool) -> None:
        self._stream = stream
        self._verbose = verbose
        self._last: tuple[str, str] = ("", "")
        self._last_time = 0.0

    def __call__(self, event: Event) -> None:
        """Show an event."""
        for line in sentences(event, verbose=self._verbose):
            self._print(line)
        if isinstance(event, Progress):
            now = time.monotonic()
            new_phase = (event.stage, event.phase) != self._last
            if new_phase or now - self._last_time >= PLAIN_SECONDS or event.done == event.total:
                self._last = (event.stage, event.phase)
                self._last_time = now
                eta = f", {duration(event.eta)} left" if event.eta and event.done < event.total else ""
                self._print(f"{event.stage}: {progress_text(event)}{eta}")

    def _print(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the reader has gone; the run continues
            print(indented(text), file=self._stream, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def _style(event: Event) -> str:
    if isinstance(event, Ended):
        return "red"
    return "yellow" if isinstance(event, Note) else ""


class BarScreen:
    """A bar for the stage that runs, and lines above it for what is over."""

    def __init__(self, *, verbose: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self._verbose = verbose
        self._bars: Bars = Bars(
            TextColumn("{task.fields[stage]}", style="bold", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[words]}", markup=False),
            TextColumn("{task.fields[left]}", style="cyan", markup=False),
            console=Console(stderr=True, highlight=False),
            transient=True,
            refresh_per_second=4,
        )
        self._task: TaskID | None = None

    def __call__(self, event: Event) -> None:
        """Show an event."""
        from rich.text import Text

        if isinstance(event, Started | Result | Ended):
            self._clear()
        in_bar = isinstance(event, Started) and event.attempt == 1
        for line in [] if in_bar else sentences(event, verbose=self._verbose):
            self._bars.console.print(Text(indented(line), style=_style(event)))
        if isinstance(event, Started):
            self._task = self._bars.add_task("", total=None, stage=event.stage, words="starting", left="")
        if isinstance(event, Progress):
            left = f"{duration(event.eta)} left" if event.eta else ""
            if self._task is None:
                self._task = self._bars.add_task("", total=None, stage=event.stage, words="", left="")
            words = one_line(progress_text(event))
            self._bars.update(
                self._task, total=event.total or None, completed=event.done, words=words, left=left
            )

    def _clear(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()
        self._bars.stop()
