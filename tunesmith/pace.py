"""How fast bytes come, and so how long the rest takes. Pure: the clock is an argument."""

from collections import deque
from collections.abc import Callable

from tunesmith.events import Progress

_SECONDS = 10.0  # that the rate is measured over


class Pace:
    """Of what has come lately: what was there before says nothing about the rest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._got = 0
        self._seen = deque([(clock(), 0)])

    def add(self, count: int) -> None:
        """So many bytes have come."""
        self._got += count
        self._seen.append((self._clock(), self._got))
        while len(self._seen) > 2 and self._seen[-1][0] - self._seen[1][0] >= _SECONDS:
            self._seen.popleft()

    def rate(self) -> float:
        """Bytes per second; 0 before the first has come."""
        began, before = self._seen[0]
        return (self._got - before) / max(self._clock() - began, 1e-3)

    def progress(self, part: str, done: int, total: int) -> Progress:
        """How far a fetch is."""
        rate = self.rate()
        eta, metrics = ((total - done) / rate, {"bytesPerSecond": rate}) if rate else (None, {})
        return Progress(
            stage="fetch", done=done, total=total, unit="bytes", phase=part, eta=eta, metrics=metrics
        )
