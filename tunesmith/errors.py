"""Exit codes, and one exception class for each way to fail that anybody handles differently.

An error says what is wrong (path, value), why, and what to do. Stages, runner and command line let these
exceptions rise; one place per process (`run_stage` in the jobs, `main` in the command line) turns them into
text and an exit code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What a stage's process ends with; the same numbers are the command line's.

    Numbers of sysexits.h where it has one.
    """

    DONE = 0
    BUG = 1  # a fault of ours, or (from the command line) a gate that was not passed; counted, retried
    USAGE = 64
    BAD_DATA = 65
    GONE = 66
    TRY_AGAIN = 75
    REFUSED = 77
    BAD_REQUEST = 78
    INTERRUPTED = 130
    STOPPED = 143

    @property
    def final(self) -> bool:
        """Whether the same attempt again would end the same way, so that nothing may retry it by itself."""
        return self in _FINAL


_FINAL = frozenset({ExitCode.USAGE, ExitCode.BAD_DATA, ExitCode.GONE, ExitCode.REFUSED, ExitCode.BAD_REQUEST})


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    `path` is a field path (`spec.training.learningRate`), a file or a line; empty if there is none.
    """

    path: str
    why: str
    value: object = None
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        found = "" if self.value is None else f" (found: {shortened(self.value)})"
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{where}{self.why}{found}{remedy}"


class TunesmithError(Exception):
    """Base of all failures that have a known cause. Raise a subclass.

    `reason` is a stable CamelCase word for status, metrics and scripts; `remedy` says what the reader can do.
    """

    exit_code = ExitCode.BUG
    default_reason = "InternalError"

    def __init__(
        self, message: str, *, reason: str = "", remedy: str = "", problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.remedy = remedy
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [self.message, *(f"  - {problem}" for problem in self.problems)]
        if self.remedy:
            lines.append(f"What to do: {self.remedy}")
        return "\n".join(lines)


class Usage(TunesmithError):
    """The command line itself is wrong."""

    exit_code = ExitCode.USAGE
    default_reason = "Usage"


class BadData(TunesmithError):
    """The data cannot give what was asked: unreadable, too few rows, budget spent, NaN loss, overflow."""

    exit_code = ExitCode.BAD_DATA
    default_reason = "BadData"


class Gone(TunesmithError):
    """An earlier result or a pinned outside thing is no longer there, or not what it was."""

    exit_code = ExitCode.GONE
    default_reason = "Gone"


class TryAgain(TunesmithError):
    """A passing fault: endpoint, store or GPU not there now. The same attempt again may succeed."""

    exit_code = ExitCode.TRY_AGAIN
    default_reason = "TryAgain"


class Refused(TunesmithError):
    """Credentials were refused, are missing, or their quota is used up."""

    exit_code = ExitCode.REFUSED
    default_reason = "Refused"


class BadRequest(TunesmithError):
    """The request can never run as it is."""

    exit_code = ExitCode.BAD_REQUEST
    default_reason = "BadRequest"


class Stopped(TunesmithError):
    """Told to stop (SIGTERM, Ctrl-C); what a restart needs is saved."""

    exit_code = ExitCode.STOPPED
    default_reason = "Stopped"


def shortened(value: object, limit: int = 120) -> str:
    """`repr` of a value for a message, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
