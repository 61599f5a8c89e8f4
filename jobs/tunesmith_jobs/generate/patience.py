"""How long a teacher's faults are borne."""

import math
import os
from dataclasses import dataclass, field

from tunesmith.errors import BadRequest
from tunesmith.wire import TEACHER_TIMEOUT
from tunesmith_jobs.generate.batch_patience import BatchPatience

ENOUGH = 20  # answers that tell how long one takes
FAR = 10.0  # times the slowest of them: no answer takes that long


@dataclass(frozen=True)
class Patience:
    """Limits on waiting, in seconds where nothing else is said."""

    request: float = 180.0  # one request; TUNESMITH_TEACHER_TIMEOUT sets another limit
    tries: int = 6  # how often one call is sent; a 429 does not count, since its end is waited for
    silence: float = 120.0  # faults, and no answer at all
    hung: float = 5.0  # least time after which a call that takes far longer than the others has hung
    drain: float = 5.0  # for the answers under way when the stage has to end
    base: float = 0.5  # the first backoff
    batch: BatchPatience = field(default_factory=BatchPatience)

    @classmethod
    def from_environment(cls) -> "Patience":
        """Defaults, with the request's time limit from TUNESMITH_TEACHER_TIMEOUT (seconds)."""
        value = os.environ.get(TEACHER_TIMEOUT, "")
        if not value:
            return cls()
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise BadRequest(
                f"{TEACHER_TIMEOUT} is not a number of seconds: {value!r}",
                remedy="set it to a number above 0 in stages.generate.env",
            )
        return cls(request=seconds)


def backoff(tries: int, draw: float, *, base: float = 0.5, cap: float = 20.0) -> float:
    """Seconds before the next try, with full jitter: uniform in 0 to min(cap, base * 2^tries).

    `draw`: uniform in 0 to 1.
    """
    return draw * min(cap, base * 2.0 ** min(tries, 30))


def time_limit(patience: Patience, slowest: float, answers: int, hung: int) -> float:
    """Seconds after which a call has hung, as the time of so many answers before it tells.

    It doubles each time that this call had hung, in case the endpoint has only become slow.
    """
    if answers < ENOUGH:
        return patience.request
    return min(patience.request, max(patience.hung, FAR * slowest) * 2.0**hung)
