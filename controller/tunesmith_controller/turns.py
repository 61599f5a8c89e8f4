"""Whose turn it is, kept up to date: admission's answer over all requests that want to work, computed once per change.

A decision is made and booked under one lock, so two workers never both give away the last place; no call to the API server is made in it.
A place is taken by the decision, and given back only when what was decided is written: nobody ever sees more at work than may be.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from tunesmith.profile import Limits
from tunesmith.wire import WAITING_FOR_GPU
from tunesmith_controller.cache import Key, key_of
from tunesmith_controller.decide.admission import Candidate, holds_a_place, turns
from tunesmith_controller.decide.model import Decision, Object, Turn
from tunesmith_controller.decide.objects import read_status, stage_of, unfinished
from tunesmith_controller.decide.pods import gpus

Admission = Callable[[Sequence[Candidate], Mapping[str, Limits]], dict[str, Turn]]
_ENDED = ("Succeeded", "Failed", "Suspended")


@dataclass
class Turns:
    """Candidates by uid. `limits`: by profile."""

    limits: Mapping[str, Limits]
    admission: Admission = turns
    _candidates: dict[str, Candidate] = field(default_factory=dict)
    _turns: dict[str, Turn] | None = None  # of the candidates as they are; None: to be computed
    _told: dict[str, int] = field(
        default_factory=dict
    )  # the place that each was told last; who was told first comes first
    _shares: dict[str, int] = field(default_factory=dict)  # of the teacher, as each was decided with last
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def start(self, requests: Iterable[tuple[Object, Sequence[Object]]]) -> None:
        """Books what is at work already, when a replica becomes the leader: requests with their Jobs."""
        with self._lock:
            for request, jobs in requests:
                if not ended(request):
                    self._set(_as_found(request, jobs))
            self._all()

    def decide(self, request: Object, think: Callable[[Turn], Decision]) -> tuple[Decision, list[Key]]:
        """The decision for a request, with its turn. What it takes is booked. And the requests whose turn has come as it wants no place."""
        uid = request["metadata"]["uid"]
        with self._lock:
            before = self._all()  # replaced when it changes, never changed
            known = uid in self._candidates
            try:
                turn = self._turn(request) if known or not ended(request) else Turn()
                decision = think(turn)
                if _wants(decision) and uid not in self._candidates:  # ended, and an edit has brought it back
                    turn = self._turn(request)
                    decision = think(turn)
            except Exception:
                if (
                    not known or not self._candidates[uid].at_work
                ):  # what nobody can decide about must not stand before the others
                    self._drop(uid)
                raise
            if _wants(decision):
                self._set(self._booked(uid, decision, written=False))
                self._shares[uid] = turn.teacher_rate
            elif uid in self._candidates and not self._candidates[uid].at_work:
                self._drop(uid)
            return decision, self._came(before, uid)

    def settle(self, request: Object, decision: Decision) -> list[Key]:
        """The decision is written. What it gives back is free: the requests whose turn has come by it."""
        uid = request["metadata"]["uid"]
        with self._lock:
            before = self._all()
            if not _wants(decision):
                self._drop(uid)
            elif uid in self._candidates:
                self._set(self._booked(uid, decision, written=True))
                self._tell(uid, decision.status.queue_place)
            came = self._came(before, uid)
            turn = self._all().get(uid)
            if (
                turn is not None and self._candidates[uid].waits_for_gpu and turn.gpu
            ):  # it became free while this was written
                came.append(key_of(request))
            return came

    def forget(self, uid: str) -> list[Key]:
        """A request is gone: the requests whose turn has come by it."""
        with self._lock:
            before = self._all()
            self._drop(uid)
            return self._came(before, uid)

    def moved(self, most: int) -> list[Key]:
        """Requests that wait at another place than they were told, at most so many: who has heard nothing for longest first."""
        with self._lock:
            now = self._all()
            moved = (uid for uid, place in self._told.items() if uid in now and 0 < now[uid].place != place)
            return [_key(self._candidates[uid]) for uid in islice(moved, most)]

    def reshared(self) -> list[Key]:
        """Requests that generate, and whose share of the teacher is not the one that they were decided with."""
        with self._lock:
            now = self._all()
            return [
                _key(one)
                for uid, one in self._candidates.items()
                if one.generating and self._shares.get(uid) != now[uid].teacher_rate
            ]

    def _booked(self, uid: str, decision: Decision, *, written: bool) -> Candidate:
        found = self._candidates[uid]
        return replace(
            found,
            at_work=decision.at_work or (found.at_work and not written),
            gpu=decision.gpu or (found.gpu and not written),
            generating=decision.generating or (found.generating and not written),
            waits_for_gpu=not decision.gpu
            and (decision.status.reason == WAITING_FOR_GPU if written else found.waits_for_gpu),
        )

    def _tell(self, uid: str, place: int) -> None:
        self._told.pop(uid, None)  # to the end
        if place:
            self._told[uid] = place

    def _turn(self, request: Object) -> Turn:
        uid = request["metadata"]["uid"]
        if uid not in self._candidates:
            self._set(_as_found(request, ()))
        return self._all().get(uid, Turn())

    def _all(self) -> dict[str, Turn]:
        if self._turns is None:
            self._turns = self.admission(list(self._candidates.values()), self.limits)
        return self._turns

    def _came(self, before: Mapping[str, Turn], uid: str) -> list[Key]:
        if self._turns is not None:
            return []  # nothing changed
        now = self._all()
        came = [
            (before[other].place, other)  # in the order in which they stood: it is the fair one
            for other, turn in now.items()
            if other != uid
            and other in before
            and (
                (before[other].place and not turn.place)
                or (self._candidates[other].waits_for_gpu and turn.gpu and not before[other].gpu)
            )
        ]
        return [_key(self._candidates[other]) for _, other in sorted(came)]

    def _set(self, candidate: Candidate) -> None:
        if self._candidates.get(candidate.uid) != candidate:
            self._candidates[candidate.uid] = candidate
            self._turns = None

    def _drop(self, uid: str) -> None:
        self._told.pop(uid, None)
        self._shares.pop(uid, None)
        if self._candidates.pop(uid, None) is not None:
            self._turns = None


def _wants(decision: Decision) -> bool:
    return decision.at_work or decision.status.queue_place > 0


def ended(request: Object) -> bool:
    """Nothing is to be done for this generation, as the status says."""
    status = request.get("status") or {}
    return status.get("phase") in _ENDED and status.get("observedGeneration") == request["metadata"].get(
        "generation"
    )


def _as_found(request: Object, jobs: Sequence[Object]) -> Candidate:
    metadata, live = request["metadata"], [job for job in jobs if unfinished(job)]
    return Candidate(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        profile=str(request.get("spec", {}).get("profile") or "default"),
        created=metadata.get("creationTimestamp", ""),
        at_work=bool(live) or holds_a_place(read_status(request)),
        gpu=any(gpus(job) > 0 for job in live),
        generating=any(stage_of(job) == "generate" for job in live),
        waits_for_gpu=(request.get("status") or {}).get("reason") == WAITING_FOR_GPU,
    )


def _key(candidate: Candidate) -> Key:
    return candidate.namespace, candidate.name
