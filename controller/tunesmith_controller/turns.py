"""Keeps the answer of admission up to date, over all requests that want to run.

A decision is made and booked under one lock, without a call to the API server, so that two workers never give
away the last place twice. A place is taken by the decision, and given back only when the decision is written:
at no time do more requests appear to run than may.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from tunesmith.profile import Limits
from tunesmith.wire import WAITING_FOR_GPU
from tunesmith_controller.cache import Key, key_of
from tunesmith_controller.decide.admission import Admission, Candidate
from tunesmith_controller.decide.model import Decision, Object, Turn
from tunesmith_controller.decide.objects import asks_teacher, uid_of, unfinished
from tunesmith_controller.decide.pods import gpus
from tunesmith_controller.decide.standing import Standing, standing

log = logging.getLogger(__name__)


@dataclass
class Turns:
    """Who may run. `limits`: by profile."""

    limits: Mapping[str, Limits]
    # The place that each status shows; the one that was written longest ago comes first.
    _written_places: dict[str, int] = field(default_factory=dict)
    _shares: dict[str, int] = field(default_factory=dict)  # of the teacher, as each was decided with last
    _places: dict[str, int] = field(default_factory=dict)  # of all who wait, after so many changes:
    _places_at: int = -1
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._admission = Admission(self.limits)

    def start(self, requests: Iterable[tuple[Standing, Sequence[Object]]]) -> None:
        """Books what runs already, when a replica becomes the leader. `requests`: each with its Jobs."""
        with self._lock:
            for request, jobs in requests:
                try:
                    if not request.rests:
                        self._admission.put(_candidate(request, jobs))
                except Exception:  # a look at it says so by name, and the others have to start
                    log.exception("%s/%s cannot be booked", request.namespace, request.name)
            self._came("")

    def decide(self, request: Object, think: Callable[[Turn], Decision]) -> tuple[Decision, list[Key]]:
        """The decision about a request, given its turn; what it takes is booked.

        Also returns the requests whose turn has come because this one wants no place.
        """
        uid = uid_of(request)
        with self._lock:
            decision, turn = self._decided(request, think)
            known = self._admission.candidates.get(uid)
            if _wants_a_place(decision):
                self._admission.put(self._booked(uid, decision, written=False))
                self._shares[uid] = turn.teacher_rate
            elif known is not None and not known.at_work:
                self._drop(uid)
            return decision, self._came(uid)

    def settle(self, request: Object, decision: Decision) -> list[Key]:
        """Frees what a decision gives back, once it is written.

        Returns the requests whose turn has come by it.
        """
        uid = uid_of(request)
        with self._lock:
            if not _wants_a_place(decision):
                self._drop(uid)
            elif uid in self._admission.candidates:
                self._admission.put(self._booked(uid, decision, written=True))
                self._note_place(uid, decision.status.queue_place)
            came = self._came(uid)
            candidate = self._admission.candidates.get(uid)
            # A GPU may have become free while this was written.
            if candidate is not None and candidate.waits_for_gpu and self._admission.turn(uid).gpu:
                came.append(key_of(request))
            return came

    def forget(self, uid: str) -> list[Key]:
        """Drops a request that is gone. Returns the requests whose turn has come by it."""
        with self._lock:
            self._drop(uid)
            return self._came(uid)

    def moved(self, most: int) -> list[Key]:
        """Requests whose status shows an old place in the queue, the longest outdated first.

        `most`: how many.
        """
        with self._lock:
            if self._places_at != self._admission.changes:
                self._places, self._places_at = self._admission.places(), self._admission.changes
            moved = (
                uid for uid, place in self._written_places.items() if 0 < self._places.get(uid, 0) != place
            )
            return [self._key(uid) for uid in islice(moved, most)]

    def reshared(self) -> list[Key]:
        """Requests that ask the teacher, and whose share of it is not the one that they were decided with."""
        with self._lock:
            return [
                self._key(uid)
                for uid, candidate in self._admission.candidates.items()
                if candidate.generating and self._shares.get(uid) != self._admission.teacher_rate(uid)
            ]

    def _decided(self, request: Object, think: Callable[[Turn], Decision]) -> tuple[Decision, Turn]:
        uid = uid_of(request)
        known = uid in self._admission.candidates
        try:
            turn = self._turn(request) if known or not standing(request).rests else Turn()
            decision = think(turn)
            if _wants_a_place(decision) and uid not in self._admission.candidates:  # an edit brought it back
                turn = self._turn(request)
                decision = think(turn)
        except Exception:
            # A request that cannot be decided about must not stand before the others.
            if not known or not self._admission.candidates[uid].at_work:
                self._drop(uid)
            raise
        return decision, turn

    def _booked(self, uid: str, decision: Decision, *, written: bool) -> Candidate:
        """The candidate with what a decision takes; and, once it is written, without what it gives back."""
        before = self._admission.candidates[uid]
        if written:
            waits = decision.status.reason == WAITING_FOR_GPU
            before = replace(before, at_work=False, gpu=False, generating=False, waits_for_gpu=waits)
        return replace(
            before,
            at_work=decision.at_work or before.at_work,
            gpu=decision.gpu or before.gpu,
            generating=decision.generating or before.generating,
            waits_for_gpu=before.waits_for_gpu and not decision.gpu,
        )

    def _note_place(self, uid: str, place: int) -> None:
        self._written_places.pop(uid, None)  # to the end
        if place:
            self._written_places[uid] = place

    def _turn(self, request: Object) -> Turn:
        uid = uid_of(request)
        if uid not in self._admission.candidates:
            self._admission.put(_candidate(standing(request), ()))
        return self._admission.turn(uid)

    def _came(self, uid: str) -> list[Key]:
        """The other requests whose turn has come, in the order in which they stood in the queue."""
        return [self._key(other) for other in self._admission.called() if other != uid]

    def _drop(self, uid: str) -> None:
        self._written_places.pop(uid, None)
        self._shares.pop(uid, None)
        self._admission.drop(uid)

    def _key(self, uid: str) -> Key:
        candidate = self._admission.candidates[uid]
        return candidate.namespace, candidate.name


def _wants_a_place(decision: Decision) -> bool:
    return decision.at_work or decision.status.queue_place > 0


def _candidate(request: Standing, jobs: Sequence[Object]) -> Candidate:
    """A request as its status and its Jobs show it."""
    live = [job for job in jobs if unfinished(job)]
    return Candidate(
        uid=request.uid,
        namespace=request.namespace,
        name=request.name,
        profile=request.profile,
        created=request.created,
        at_work=bool(live) or request.holds_a_place,
        gpu=any(gpus(job) > 0 for job in live),
        generating=any(map(asks_teacher, live)),
        waits_for_gpu=request.waits_for_gpu,
    )
