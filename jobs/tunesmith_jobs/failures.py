"""What an exception means for a process of the jobs, and what the process prints before it ends."""

import contextlib
import errno
import sys
import traceback
from collections.abc import Mapping

from tunesmith.errors import Stopped, TryAgain, TunesmithError
from tunesmith.plain_text import indented
from tunesmith_jobs.log_lines import for_people, without_secrets
from tunesmith_jobs.output import print_line

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def known(error: BaseException) -> TunesmithError | None:
    """The error itself if it has a class of its own, the one it amounts to, or None for a bug."""
    if isinstance(error, TunesmithError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Stopped("interrupted", remedy="run again to continue")
    if isinstance(error, OSError) and error.errno in _FULL:
        place = error.filename or "the scratch folder"
        return TryAgain(
            f"the disk is full at {place}", reason="DiskFull", remedy="free space there, then run again"
        )
    return None


def explained(name: str, error: BaseException) -> tuple[TunesmithError, str]:
    """The error to report, and its text for people, which has a traceback only if it is a bug."""
    reported = known(error)
    if reported is not None:
        return reported, f"{name}: {reported}"
    bug = TunesmithError(
        f"{type(error).__name__}: {error}", remedy="this is a bug; please report it with the traceback above"
    )
    trace = "".join(traceback.format_exception(error)).rstrip("\n")
    return bug, f"{indented(trace)}\n{name}: {bug}"


def complain(text: str, about: Mapping[str, str] | None = None) -> None:
    """Print on standard error, if anybody still reads it.

    `text`: of lines that are all ours, as `explained` makes it. `about`: what is known of the attempt that it
    concerns.
    """
    with contextlib.suppress(OSError):
        print_line(for_people(without_secrets(text), about or {}, level="error"), sys.stderr)
