"""What an exception means for a process of the jobs, and what it says before it ends."""

import errno
import sys
import traceback
from collections.abc import Mapping

from tunesmith.errors import Stopped, TryAgain, TunesmithError
from tunesmith_jobs.log_lines import for_people, without_secrets

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def known(error: BaseException) -> TunesmithError | None:
    """The error itself if it has a class of its own, what it amounts to, or None for a bug."""
    if isinstance(error, TunesmithError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Stopped("interrupted", remedy="run again to go on")
    if isinstance(error, OSError) and error.errno in _FULL:
        where = error.filename or "the scratch folder"
        return TryAgain(
            f"the disk is full at {where}", reason="DiskFull", remedy="free space there, then run again"
        )
    return None


def explained(name: str, error: BaseException) -> tuple[TunesmithError, str]:
    """The error to report, and the text for people: with a traceback only if it is a bug."""
    found = known(error)
    if found is not None:
        return found, f"{name}: {found}"
    bug = TunesmithError(
        f"{type(error).__name__}: {error}", remedy="this is a bug; please report it with the traceback above"
    )
    return bug, "".join(traceback.format_exception(error)) + f"{name}: {bug}"


def complain(text: str, about: Mapping[str, str] | None = None) -> None:
    """Lines on standard error, if anybody still reads it. `about`: whose they are, as far as it is known."""
    try:
        print(for_people(without_secrets(text), about or {}, level="error"), file=sys.stderr, flush=True)
    except OSError:
        return
