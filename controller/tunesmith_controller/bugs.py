"""Remembers on which requests the controller fails, so that it gives up one that fails again and again."""

import hashlib
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import uid_of

TIMES = 3  # failures of one kind after which a request is given up
MOST = 12  # failures of any kind
# Seconds from the first failure until then: what is wrong with the process itself for a moment (its memory, a
# file that is being replaced) fails on every request, and is over by then.
LEAST = 3.0


@dataclass
class _Failing:
    """A request in one generation. `times`: by the id of the bug."""

    generation: int
    since: float
    times: dict[str, int] = field(default_factory=dict)
    given_up: str = ""


class Bugs:
    """Failures by uid of the request. Each worker holds one request, so no lock is needed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, _Failing] = {}

    def add(self, request: Object, error: Exception) -> str:
        """Notes an unexpected exception of a look at a request; returns the id of the bug."""
        uid, generation = uid_of(request), _generation(request)
        failing = self._known.get(uid)
        if failing is None or failing.generation != generation:
            failing = self._known[uid] = _Failing(generation, self._clock())
        bug = bug_id(request, error)
        failing.times[bug] = failing.times.get(bug, 0) + 1
        often = failing.times[bug] >= TIMES or sum(failing.times.values()) >= MOST
        if often and self._clock() - failing.since >= LEAST:
            failing.given_up = failing.given_up or bug
        return bug

    def given_up(self, request: Object) -> str:
        """The id of the bug for which a request is given up in its present generation; empty if it is not."""
        failing = self._known.get(uid_of(request))
        if failing is None or failing.generation != _generation(request):
            return ""
        return failing.given_up

    def clear(self, uid: str) -> None:
        """Forgets a request: a look at it went well, or it is gone."""
        self._known.pop(uid, None)


def bug_id(request: Object, error: Exception) -> str:
    """Eight characters that stand for the type and place of an exception, and the request: it stays the same.

    Pure.
    """
    frames = traceback.extract_tb(error.__traceback__)
    # The last of our own: a library that recurses until it fails does so at any of its lines.
    where = [f"{frame.filename}:{frame.lineno}" for frame in frames if "tunesmith" in frame.filename][-1:]
    text = f"{uid_of(request)} {_generation(request)} {type(error).__qualname__} {where}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _generation(request: Object) -> int:
    return int(request["metadata"].get("generation", 1))
