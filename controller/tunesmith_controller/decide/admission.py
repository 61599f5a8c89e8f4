"""Which requests may run, by the limits of their profile.

The limits hold in total and per namespace. Namespaces take turns, and in each the oldest request goes first
(`FairLine`). The answer holds for the candidates as they are. The caller books each one that it starts and
asks again, so that no place is given away twice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tunesmith.profile import Limits
from tunesmith_controller.decide.fair_line import Age, FairLine
from tunesmith_controller.decide.model import Turn


@dataclass(frozen=True, slots=True)
class Candidate:
    """A request that has not ended, as admission sees it.

    `created`: RFC 3339, which sorts by time. `at_work`: holds a place; `gpu`: has a live Job with a GPU;
    `generating`: has a live Job that asks the teacher; `waits_for_gpu`: has a stage that a GPU limit holds
    back.
    """

    uid: str
    namespace: str
    name: str
    profile: str
    created: str
    at_work: bool = False
    gpu: bool = False
    generating: bool = False
    waits_for_gpu: bool = False

    @property
    def age(self) -> Age:
        """Sorts the oldest first."""
        return self.created, self.uid

    @property
    def wants_gpu(self) -> bool:
        """Whether it stands in the line for a GPU."""
        return self.waits_for_gpu and not self.gpu


@dataclass
class _Lines:
    """The lines of one profile: for its places, and for its GPUs. `generating`: candidates that generate."""

    limits: Limits
    places: FairLine
    gpus: FairLine
    generating: int = 0


@dataclass
class Admission:
    """All candidates, and the turn of each. `limits`: by profile."""

    limits: Mapping[str, Limits]
    candidates: dict[str, Candidate] = field(default_factory=dict)
    """By uid."""
    changes: int = 0
    """How often a candidate has changed."""
    _profiles: dict[str, _Lines] = field(default_factory=dict)

    def put(self, candidate: Candidate) -> None:
        """Takes a candidate as it is now."""
        before = self.candidates.get(candidate.uid)
        if before == candidate:
            return
        self.candidates[candidate.uid] = candidate
        self._change(before, candidate)

    def drop(self, uid: str) -> None:
        """Drops a candidate, if it is one."""
        before = self.candidates.pop(uid, None)
        if before is not None:
            self._change(before, None)

    def turn(self, uid: str) -> Turn:
        """Whether a candidate may run, or else its place in the queue; and its share of the teacher."""
        candidate = self.candidates[uid]
        lines = self._lines(candidate.profile)
        starts = candidate.age in lines.places.called()
        waits = not candidate.at_work and not starts
        gpu_why = _why_no_gpu(candidate, lines)
        return Turn(
            place=lines.places.place(candidate.namespace, candidate.age) if waits else 0,
            why=_why_no_place(candidate, lines) if waits else "",
            gpu=not gpu_why,
            gpu_why=gpu_why,
            teacher_rate=self.teacher_rate(uid),
        )

    def teacher_rate(self, uid: str) -> int:
        """Requests a minute that a candidate may send to the teacher; 0: unlimited."""
        candidate = self.candidates[uid]
        lines = self._lines(candidate.profile)
        called = lines.places.called()
        sharing = lines.generating + len(called)
        if not candidate.generating and candidate.age not in called:
            sharing += 1
        limit = lines.limits.teacher_requests_per_minute
        return max(1, limit // sharing) if limit else 0

    def called(self) -> Iterator[str]:
        """Uids of those whose turn has come, or that may have a GPU now, since this was asked last."""
        for lines in self._profiles.values():
            for _, uid in (*lines.places.news(), *lines.gpus.news()):
                yield uid

    def places(self) -> dict[str, int]:
        """The places of all who wait, by uid."""
        return {
            uid: place
            for lines in self._profiles.values()
            for place, (_, uid) in enumerate(lines.places.order(), start=1)
        }

    def _lines(self, profile: str) -> _Lines:
        known = profile if profile in self.limits else ""  # users may write any name
        lines = self._profiles.get(known)
        if lines is None:
            limits = self.limits.get(known, Limits())
            lines = self._profiles[known] = _Lines(
                limits,
                places=FairLine(limits.requests, limits.requests_per_namespace),
                gpus=FairLine(limits.gpu_jobs, limits.gpu_jobs_per_namespace),
            )
        return lines

    def _change(self, before: Candidate | None, after: Candidate | None) -> None:
        self.changes += 1
        present = after or before
        assert present is not None
        lines = self._lines(present.profile)
        lines.generating += (after is not None and after.generating) - (
            before is not None and before.generating
        )
        namespace, age = present.namespace, present.age
        held = before is not None and before.at_work, after is not None and after.at_work
        waited = before is not None and not before.at_work, after is not None and not after.at_work
        _move(lines.places, namespace, age, held, waited)
        held = before is not None and before.gpu, after is not None and after.gpu
        waited = before is not None and before.wants_gpu, after is not None and after.wants_gpu
        _move(lines.gpus, namespace, age, held, waited)


_BeforeAndNow = tuple[bool, bool]


def _move(line: FairLine, namespace: str, age: Age, held: _BeforeAndNow, waits: _BeforeAndNow) -> None:
    """Moves a candidate in a line. `held`: whether it holds a place; `waits`: whether it waits for one."""
    if waits[0] and held[1]:
        line.take(namespace, age)
        return
    if held[0] and not held[1]:
        line.release(namespace)
    if waits[0] and not waits[1]:
        line.leave(namespace, age)
    if held[1] and not held[0]:
        line.hold(namespace)
    if waits[1] and not waits[0]:
        line.wait(namespace, age)


def _why_no_place(candidate: Candidate, lines: _Lines) -> str:
    limits, namespace = lines.limits, candidate.namespace
    each = limits.requests_per_namespace
    if each and lines.places.held[namespace] + lines.places.called_of(namespace) >= each:
        limit = f"the limit of profile {candidate.profile} (limits.requestsPerNamespace: {each})"
        return f"namespace {namespace} has reached {limit}"
    return f"profile {candidate.profile} has reached its limit (limits.requests: {limits.requests})"


def _why_no_gpu(candidate: Candidate, lines: _Lines) -> str:
    """Why a candidate may not start a Job with a GPU; empty if it may.

    Free GPUs go to those that wait for one first.
    """
    line, limits, namespace = lines.gpus, lines.limits, candidate.namespace
    called = line.called()
    if candidate.gpu or (candidate.wants_gpu and candidate.age in called):
        return ""
    each = limits.gpu_jobs_per_namespace
    held = line.held[namespace]
    if each and held + line.called_of(namespace) >= each:
        running = f"{held} of the {each} Jobs with a GPU"
        return f"namespace {namespace} runs {running} that its profile allows at once"
    if line.free is not None and len(called) >= line.free:
        running = f"{line.in_use} of its {limits.gpu_jobs} Jobs with a GPU"
        return f"profile {candidate.profile} runs {running}"
    return ""
