"""Standard output and error of a stage: lines of its own, and what libraries print between them.

The runner and the controller read progress and results from lines that begin with `{` (tunesmith/events.py).
Only `print_line` prints those. All other text, such as a library's warning about a row of somebody's data,
goes through `Guarded`, in which no line begins with `{`, no secret stands, and nothing steers a terminal.
What native code writes to the file descriptors itself is not seen here.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from tunesmith.plain_text import printable
from tunesmith_jobs.log_lines import no_machine_line, without_secrets


class Guarded(io.TextIOBase):
    """A stream for text that others print."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._line_begins = True

    def write(self, text: str) -> int:
        """Write a piece of text. A blank stands before a `{` that begins a line."""
        safe = printable(without_secrets(text))
        self.stream.write(no_machine_line(safe, line_begins=self._line_begins))
        if safe:
            self._line_begins = safe.endswith("\n")
        return len(text)

    def write_line(self, text: str) -> None:
        """Write a whole line of ours, after the end of what others have begun."""
        self.stream.write(text + "\n" if self._line_begins else f"\n{text}\n")
        self._line_begins = True
        self.stream.flush()

    def writable(self) -> bool:
        """It can be written to."""
        return True

    def flush(self) -> None:
        """Pass on what was written."""
        self.stream.flush()

    def fileno(self) -> int:
        """The file descriptor below."""
        return self.stream.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has it as an attribute
        """How text becomes bytes."""
        return self.stream.encoding


@contextlib.contextmanager
def guarded_output() -> Iterator[None]:
    """Within the block, what others print on standard output and error is guarded."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Guarded(sys.stdout), Guarded(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Print a whole line of ours, on standard output or another stream.

    If it is not read any more, the work done so far must not be lost.
    """
    text = text.encode("utf-8", "backslashreplace").decode()
    to = sys.stdout if stream is None else stream
    try:
        if isinstance(to, Guarded):
            to.write_line(text)
        else:
            to.write(text + "\n")
            to.flush()
    except BrokenPipeError:
        silence()


def silence() -> None:
    """From now on discard standard output and error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
