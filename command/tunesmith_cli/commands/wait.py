"""`wait`: for the end of a request on the cluster."""

import re
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.errors import ExitCode, Gone, TryAgain, Usage
from tunesmith.plain_text import indented, one_line
from tunesmith_cli.commands.target import RequestName, Target, on_cluster
from tunesmith_cli.commands.terminal import say, tell

if TYPE_CHECKING:
    from tunesmith.status import Status

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?|(\d+)")


@on_cluster
def wait(
    context: typer.Context,  # noqa: ARG001 - `target` is made from it
    name: RequestName,
    *,
    target: Target,
    timeout: Annotated[
        str,
        typer.Option(metavar="TIME", help="Such as 90s, 30m or 2h. Built-in: no limit.", show_default=False),
    ] = "",
) -> int:
    """Wait for the end of a request: exits with 0 when it is complete, 1 as soon as it has failed, 75 when
    the time is over.

    It also waits for an edit that the controller has not seen yet.
    """
    from tunesmith_cli.cluster.requests import ended, follow, status_of

    limit = seconds_of(timeout)
    until = time.monotonic() + limit if limit is not None else None
    status: Status | None = None
    suspended = False
    for request in follow(target.api(), target.namespace(), name, until):
        status = status_of(request)
        if end := ended(request, status):
            return _print_end(name, end, status)
        if request["spec"].get("suspend") and not suspended:
            suspended = True
            tell(f"{name} is suspended; waiting for `resume`")
    if until is None or time.monotonic() < until:
        raise Gone(f"{name} was deleted", reason="Deleted")
    raise TryAgain(
        f"{name} has not ended within {timeout}{_progress(status)}",
        reason="TimedOut",
        remedy="wait again; `status -w` shows how it proceeds",
    )


def _print_end(name: str, end: str, status: "Status") -> int:
    """Print how a request ended; the exit code."""
    if end == "Complete":
        say(f"{name} is complete")
        return ExitCode.DONE
    say(f"{name} has failed ({one_line(status.reason)})" if status.reason else f"{name} has failed")
    if status.message:
        tell(f"  {indented(status.message)}")
    return ExitCode.BUG


def _progress(status: "Status | None") -> str:
    if status is None:
        return ""
    stage = f", {status.stage} {status.progress} %" if status.stage else ""
    return f": {status.phase}{stage}"


def seconds_of(text: str) -> float | None:
    """Seconds of `90`, `90s`, `30m`, `1h30m`; None for an empty text. Raises Usage."""
    if not text:
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise Usage(f"--timeout {text}: not a time", remedy="such as 90s, 30m or 2h")
    hours, minutes, seconds, bare = (int(part or 0) for part in match.groups())
    return float(bare or hours * 3600 + minutes * 60 + seconds)
