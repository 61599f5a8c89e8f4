"""Ctrl-C, SIGTERM and a closed terminal: the first of them asks the stage to stop, the second kills it."""

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType

from tunesmith.errors import ExitCode

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopping:
    """Whether the run is to stop. `code`: the exit code that follows; `forced`: it was asked for twice."""

    def __init__(self) -> None:
        self.code: ExitCode | None = None
        self.forced = False

    @property
    def asked(self) -> bool:
        """Whether to stop."""
        return self.code is not None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block the signals only set what is asked."""
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        before = {
            number: signal.signal(number, self._signalled)
            for number in _SIGNALS
            if not (nohup and number == signal.SIGHUP)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self, seconds: float) -> bool:
        """Sleep until the time is over, or until it is to stop; whether it is."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        return self.asked

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if self.asked:
            self.forced = True
        else:
            self.code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.STOPPED
