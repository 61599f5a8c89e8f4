"""The rate at which bytes arrive, and how long the rest will take. Pure: the clock is an argument."""

from collections import deque
from collections.abc import Callable

from tunesmith.events import Progress

_WINDOW = 10.0  # seconds over which the rate is measured


class Pace:
    """The rate of the last seconds. What was there before says nothing about the rest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._received = 0
        self._samples = deque([(clock(), 0)])  # moment, and bytes received until then

    def add(self, count: int) -> None:
        """Count bytes that have arrived."""
        self._received += count
        self._samples.append((self._clock(), self._received))
        while len(self._samples) > 2 and self._samples[-1][0] - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()

    def rate(self) -> float:
        """Bytes per second; 0 until the first bytes have arrived."""
        began, received_before = self._samples[0]
        return (self._received - received_before) / max(self._clock() - began, 1e-3)

    def progress(self, part: str, done: int, total: int) -> Progress:
        """How far a transfer has come."""
        rate = self.rate()
        return Progress(
            stage="fetch",
            done=done,
            total=total,
            unit="bytes",
            phase=part,
            eta=(total - done) / rate if rate else None,
            metrics={"bytesPerSecond": rate} if rate else {},
        )
