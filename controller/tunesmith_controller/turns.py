"""Keeps the answer of admission up to date: over all requests that want to run, computed once per change.

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
from tunesmith_controller.decide.admission import Candidate, holds_a_place, turns
from tunesmith_controller.decide.model import Decision, Object, Turn
from tunesmith_controller.decide.objects import (
    asks_teacher,
    created,
    name_of,
    profile_of,
    read_status,
    status_of,
    uid_of,
    unfinished,
)
from tunesmith_controller.decide.pods import gpus

log = logging.getLogger(__name__)

Admission = Callable[[Sequence[Candidate], Mapping[str, Limits]], dict[str, Turn]]
_ENDED = ("Succeeded", "Failed", "Suspended")


@dataclass
class Turns:
    """Candidates by uid. `limits`: by profile."""

    limits: Mapping[str, Limits]
    admission: Admission = turns
    _candidates: dict[str, Candidate] = field(default_factory=dict)
    _turns: dict[str, Turn] | None = None  # of the candidates as they are; None: to be computed
    # The place that each status shows; the one that was written longest ago comes first.
    _written_places: dict[str, int] = field(default_factory=dict)
    _shares: dict[str, int] = field(default_factory=dict)  # of the teacher, as each was decided with last
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def start(self, requests: Iterable[tuple[Object, Sequence[Object]]]) -> None:
        """Books what runs already, when a replica becomes the leader. `requests`: each with its Jobs."""
        with self._lock:
            for request, jobs in requests:
                try:
                    if not ended(request):
                        self._set(_candidate(request, jobs))
                except Exception:  # a look at it says so by name, and the others have to start
                    log.exception("%s cannot be booked", key_of(request))
            self._all()

    def decide(self, request: Object, think: Callable[[Turn], Decision]) -> tuple[Decision, list[Key]]:
        """The decision about a request, given its turn; what it takes is booked.

        Also returns the requests whose turn has come because this one wants no place.
        """
        uid = uid_of(request)
        with self._lock:
            before = self._all()  # it is replaced when it changes, so this one stays as it is
            decision, turn = self._decided(request, think)
            if _wants_a_place(decision):
                self._set(self._booked(uid, decision, written=False))
                self._shares[uid] = turn.teacher_rate
            elif uid in self._candidates and not self._candidates[uid].at_work:
                self._drop(uid)
            return decision, self._came(before, uid)

    def settle(self, request: Object, decision: Decision) -> list[Key]:
        """Frees what a decision gives back, once it is written.

        Returns the requests whose turn has come by it.
        """
        uid = uid_of(request)
        with self._lock:
            before = self._all()
            if not _wants_a_place(decision):
                self._drop(uid)
            elif uid in self._candidates:
                self._set(self._booked(uid, decision, written=True))
                self._note_place(uid, decision.status.queue_place)
            came = self._came(before, uid)
            turn = self._all().get(uid)
            # A GPU may have become free while this was written.
            if turn is not None and self._candidates[uid].waits_for_gpu and turn.gpu:
                came.append(key_of(request))
            return came

    def forget(self, uid: str) -> list[Key]:
        """Drops a request that is gone. Returns the requests whose turn has come by it."""
        with self._lock:
            before = self._all()
            self._drop(uid)
            return self._came(before, uid)

    def moved(self, most: int) -> list[Key]:
        """Requests whose status shows an old place in the queue, the longest outdated first.

        `most`: how many.
        """
        with self._lock:
            now = self._all()
            moved = (
                uid
                for uid, place in self._written_places.items()
                if uid in now and 0 < now[uid].place != place
            )
            return [_key(self._candidates[uid]) for uid in islice(moved, most)]

    def reshared(self) -> list[Key]:
        """Requests that ask the teacher, and whose share of it is not the one that they were decided with."""
        with self._lock:
            now = self._all()
            return [
                _key(candidate)
                for uid, candidate in self._candidates.items()
                if candidate.generating and self._shares.get(uid) != now[uid].teacher_rate
            ]

    def _decided(self, request: Object, think: Callable[[Turn], Decision]) -> tuple[Decision, Turn]:
        uid = uid_of(request)
        known = uid in self._candidates
        try:
            turn = self._turn(request) if known or not ended(request) else Turn()
            decision = think(turn)
            if _wants_a_place(decision) and uid not in self._candidates:  # an edit has brought it back
                turn = self._turn(request)
                decision = think(turn)
        except Exception:
            # A request that cannot be decided about must not stand before the others.
            if not known or not self._candidates[uid].at_work:
                self._drop(uid)
            raise
        return decision, turn

    def _booked(self, uid: str, decision: Decision, *, written: bool) -> Candidate:
        """The candidate with what a decision takes; and, once it is written, without what it gives back."""
        before = self._candidates[uid]
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
        if uid not in self._candidates:
            self._set(_candidate(request, ()))
        return self._all().get(uid, Turn())

    def _all(self) -> dict[str, Turn]:
        if self._turns is None:
            self._turns = self.admission(list(self._candidates.values()), self.limits)
        return self._turns

    def _came(self, before: Mapping[str, Turn], uid: str) -> list[Key]:
        """The other requests whose turn has come since, in the order in which they stood in the queue."""
        if self._turns is not None:
            return []  # nothing changed
        came = [
            (before[other].place, other)
            for other, turn in self._all().items()
            if other != uid and other in before and self._has_come(other, before[other], turn)
        ]
        return [_key(self._candidates[other]) for _, other in sorted(came)]

    def _has_come(self, uid: str, before: Turn, now: Turn) -> bool:
        if before.place and not now.place:
            return True
        return self._candidates[uid].waits_for_gpu and now.gpu and not before.gpu

    def _set(self, candidate: Candidate) -> None:
        if self._candidates.get(candidate.uid) != candidate:
            self._candidates[candidate.uid] = candidate
            self._turns = None

    def _drop(self, uid: str) -> None:
        self._written_places.pop(uid, None)
        self._shares.pop(uid, None)
        if self._candidates.pop(uid, None) is not None:
            self._turns = None


def ended(request: Object) -> bool:
    """Whether nothing is to be done for this generation, as the status says."""
    status = status_of(request)
    is_current = status.get("observedGeneration") == request["metadata"].get("generation")
    return bool(is_current and status.get("phase") in _ENDED)


def _wants_a_place(decision: Decision) -> bool:
    return decision.at_work or decision.status.queue_place > 0


def _candidate(request: Object, jobs: Sequence[Object]) -> Candidate:
    """A request as its status and its Jobs show it."""
    live = [job for job in jobs if unfinished(job)]
    return Candidate(
        uid=uid_of(request),
        namespace=request["metadata"]["namespace"],
        name=name_of(request),
        profile=profile_of(request),
        created=created(request),
        at_work=bool(live) or holds_a_place(read_status(request)),
        gpu=any(gpus(job) > 0 for job in live),
        generating=any(map(asks_teacher, live)),
        waits_for_gpu=status_of(request).get("reason") == WAITING_FOR_GPU,
    )


def _key(candidate: Candidate) -> Key:
    return candidate.namespace, candidate.name
