"""Exit codes, and one exception class for each kind of failure that is handled differently.

An error says what is wrong (path, value), why, and what to do. Stages, runner and command line let these
exceptions rise. One place in each process (`run_stage` in the jobs, `main` in the command line) turns them
into text and an exit code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from tunesmith.plain_text import indented


class ExitCode(IntEnum):
    """What the process of a stage ends with, and the command line too.

    The numbers are those of sysexits.h where it has one.
    """

    DONE = 0
    BUG = 1  # a bug, which is counted and retried; from the command line also a gate that was not passed
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
        """Whether another try of the same attempt would end the same way, so that nothing may retry it."""
        return self in _FINAL


_FINAL = frozenset({ExitCode.USAGE, ExitCode.BAD_DATA, ExitCode.GONE, ExitCode.REFUSED, ExitCode.BAD_REQUEST})


MOST_CRASHES = 4
"""Tries of a stage that end by a bug or a signal after which nothing tries again: a store comes back, a bug
does not go."""

_REMEDY = "What to do: "


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    `path` is a field path (`spec.training.learningRate`), a file or a line, or empty.
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
    """Base class of all failures with a known cause. Raise a subclass.

    `reason` is a stable CamelCase word for status, metrics and scripts. `remedy` says what the reader can do.
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
        """What is wrong, the problems, and what to do. What others wrote in it begins no line."""
        lines = [indented(self.message), *(f"  - {indented(str(each), by='    ')}" for each in self.problems)]
        if self.remedy:
            lines.append(f"{_REMEDY}{indented(self.remedy)}")
        return "\n".join(lines)


class Usage(TunesmithError):
    """The command line itself is wrong."""

    exit_code = ExitCode.USAGE
    default_reason = "Usage"


class BadData(TunesmithError):
    """The data cannot give what was asked for: unreadable, too few rows, budget spent, NaN loss, overflow."""

    exit_code = ExitCode.BAD_DATA
    default_reason = "BadData"


class Gone(TunesmithError):
    """An earlier result, or something pinned outside, is no longer there or has changed."""

    exit_code = ExitCode.GONE
    default_reason = "Gone"


class TryAgain(TunesmithError):
    """A passing fault: an endpoint, a store or a GPU is not there now. Another try of the same attempt may
    succeed.
    """

    exit_code = ExitCode.TRY_AGAIN
    default_reason = "TryAgain"


class Refused(TunesmithError):
    """Credentials were refused or are missing, or their quota is used up."""

    exit_code = ExitCode.REFUSED
    default_reason = "Refused"


class BadRequest(TunesmithError):
    """The request cannot run as it is."""

    exit_code = ExitCode.BAD_REQUEST
    default_reason = "BadRequest"


class Stopped(TunesmithError):
    """The process was told to stop (SIGTERM, Ctrl-C). What a restart needs is saved."""

    exit_code = ExitCode.STOPPED
    default_reason = "Stopped"


_BY_EXIT_CODE: Mapping[int, type[TunesmithError]] = {
    kind.exit_code: kind for kind in (Usage, BadData, Gone, TryAgain, Refused, BadRequest)
}


def error_class(exit_code: int) -> type[TunesmithError]:
    """The class of the error that another process of ours ended with."""
    return _BY_EXIT_CODE.get(exit_code, TunesmithError)


def message_and_remedy(text: str) -> tuple[str, str]:
    """The two parts of an error that another process of ours printed. The remedy may be empty."""
    message, _, remedy = text.strip().partition(f"\n{_REMEDY}")
    return message, remedy


def shortened(value: object, limit: int = 120) -> str:
    """`repr` of a value for a message, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
