"""A process whose output is the user's own: waited for, and interrupted by the user's Ctrl-C."""

import signal
import subprocess
from collections.abc import Mapping, Sequence

from tunesmith.errors import ExitCode
from tunesmith.wire import STOP_ON_EOF


def run_in_foreground(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command on this terminal; its exit code, or 128 + the signal that ended it."""
    process = subprocess.Popen(command, env={**env, STOP_ON_EOF: "0"}, stdin=subprocess.DEVNULL)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the process too
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if code == -signal.SIGINT:
        return ExitCode.INTERRUPTED
    return code if code >= 0 else 128 - code
