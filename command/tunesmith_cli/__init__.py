"""The command line: `tunesmith`, and `kubectl tunesmith` where kubectl finds it.

`commands` holds what a person types, `local` runs a request as processes on this machine, `cluster` does what
kubectl does for others.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunesmith.errors import ExitCode

if TYPE_CHECKING:
    from tunesmith_cli.local.processes import Toolbox

_EXTRA = ("typer", "rich")  # the modules of the extra `cli`


def main(arguments: Sequence[str] | None = None, toolbox: "Toolbox | None" = None, program: str = "") -> int:
    """Run a command; returns the exit code. See `tunesmith_cli.app.main`."""
    try:
        from tunesmith_cli.app import main as run
    except ModuleNotFoundError as error:
        return _without_extra(error)
    return run(arguments, toolbox, program)


def complete() -> int:
    """Print the words that may follow, for kubectl's completion. See `tunesmith_cli.app.complete`."""
    try:
        from tunesmith_cli.app import complete as words
    except ModuleNotFoundError as error:
        return _without_extra(error)
    return words()


def _without_extra(error: ModuleNotFoundError) -> int:
    """`pip install tunesmith` installs the contract alone, and this script with it."""
    if (error.name or "").partition(".")[0] not in _EXTRA:
        raise error
    print(
        f"tunesmith: the command line is not installed: there is no module {error.name}\n"
        "What to do: pip install 'tunesmith[cli]', or 'tunesmith[cluster]' for commands on a cluster, too",
        file=sys.stderr,
    )
    return ExitCode.USAGE
