"""Token bucket: at most `rate` a second, after a burst."""

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Tokens come at `rate` a second, up to `burst` of them. Threads may share one."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Takes a token, even a future one; returns the seconds until it may be used."""
        with self._lock:
            self._fill()
            self._tokens -= 1
            return max(0.0, -self._tokens / self.rate)

    def try_take(self) -> bool:
        """Takes a token if there is one now; returns whether there was."""
        with self._lock:
            self._fill()
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
