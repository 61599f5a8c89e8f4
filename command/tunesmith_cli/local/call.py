"""A process whose output is the user's own: waited for, and interrupted with the user's Ctrl-C."""

import signal
import subprocess
from collections.abc import Mapping, Sequence

from tunesmith.errors import ExitCode
from tunesmith.wire import STOP_ON_EOF


def call(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Run it with this terminal; its exit code, or 128 + the signal that ended it."""
    process = subprocess.Popen(command, env={**env, STOP_ON_EOF: "0"}, stdin=subprocess.DEVNULL)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the process too
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else ExitCode.INTERRUPTED if code == -signal.SIGINT else 128 - code
