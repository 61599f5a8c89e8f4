"""Standard output of a process whose reader may go away at any moment."""

import os
import sys


def print_line(text: str) -> None:
    """Print a whole line. If it is not read any more, the work done so far must not be lost."""
    try:
        sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence()


def silence() -> None:
    """From now on discard standard output and error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
