"""How a stage's process is told to stop: by SIGTERM, SIGINT, or the end of its runner."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

from tunesmith import wire
from tunesmith.errors import ExitCode
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.output import silence

_ORPHAN_SECONDS = 120.0  # to save its state, for a stage whose runner was killed


class StopSignals:
    """Passes signals on to an attempt, including one that came before there was an attempt."""

    def __init__(self) -> None:
        self._received = False
        self._attempt: Attempt | None = None

    def pass_on_to(self, attempt: Attempt) -> None:
        """From now on a signal stops `attempt`; if one has already come, at once."""
        self._attempt = attempt
        if self._received:
            attempt.stop()

    def _receive(self, _signal: int, _frame: object) -> None:
        self._received = True
        if self._attempt is not None:
            self._attempt.stop()

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Receive SIGTERM, SIGINT and, if asked for, the end of standard input within the block."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGTERM, signal.SIGINT)}
        if os.environ.get(wire.STOP_ON_EOF) == "1":
            threading.Thread(target=_stop_on_end_of_input, name="stdin", daemon=True).start()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop_on_end_of_input() -> None:
    # Not sys.stdin: a thread that waits in it holds a lock that the interpreter needs when it ends.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    silence()  # the process that read the output has ended, too
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_SECONDS)
    os._exit(ExitCode.STOPPED)
