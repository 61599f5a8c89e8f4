"""Who may be at work: limits of a profile, in total and per namespace; round-robin over namespaces, the oldest first within. Pure.

The answer holds for the candidates as they are. Whoever starts one books it and asks again, so that no place is given away twice.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.profile import Limits
from tunesmith_controller.decide.model import Turn


@dataclass(frozen=True)
class Candidate:
    """A request that is not finished, as far as admission is concerned. `created`: RFC 3339, which sorts by time."""

    uid: str
    namespace: str
    name: str
    profile: str
    created: str
    at_work: bool = False
    gpu: bool = False  # has a live Job with a GPU
    generating: bool = False  # has a live generate Job
    waits_for_gpu: bool = False  # has a stage that a GPU limit holds back


def turns(candidates: Sequence[Candidate], limits: Mapping[str, Limits]) -> dict[str, Turn]:
    """For each candidate's uid: whether it may be at work, else its place in the queue of its profile; and its share of the teacher."""
    found: dict[str, Turn] = {}
    for profile in {candidate.profile for candidate in candidates}:
        mine = [candidate for candidate in candidates if candidate.profile == profile]
        found |= _of_profile(mine, limits.get(profile, Limits()))
    return found


def _of_profile(candidates: Sequence[Candidate], limits: Limits) -> dict[str, Turn]:
    at_work = [candidate for candidate in candidates if candidate.at_work]
    counts = Counter(candidate.namespace for candidate in at_work)
    waiting = [candidate for candidate in candidates if not candidate.at_work]
    admitted = _take(waiting, counts, _free(limits.requests, len(at_work)), limits.requests_per_namespace)
    starting = {candidate.uid for candidate in admitted}
    counts += Counter(candidate.namespace for candidate in admitted)
    queue = _take([candidate for candidate in waiting if candidate.uid not in starting], counts, None, 0)
    places = {candidate.uid: place for place, candidate in enumerate(queue, start=1)}
    gpu = _gpu_turns(candidates, limits)
    generators = sum(candidate.generating for candidate in candidates) + len(admitted)
    turns: dict[str, Turn] = {}
    for candidate in candidates:
        place = places.get(candidate.uid, 0)
        own = candidate.generating or candidate.uid in starting
        turns[candidate.uid] = Turn(
            place=place,
            why=_why(candidate, limits, counts[candidate.namespace]) if place else "",
            gpu=not gpu[candidate.uid],
            gpu_why=gpu[candidate.uid],
            teacher_rate=_share(limits.teacher_requests_per_minute, generators + (0 if own else 1)),
        )
    return turns


def _take(
    waiting: Sequence[Candidate], at_work: Mapping[str, int], free: int | None, each: int
) -> list[Candidate]:
    """Those who may start, in their order: of the namespace that has least at work, the oldest. `free`: None for all; `each`: 0 for all."""
    counts = Counter(at_work)
    lines: dict[str, list[Candidate]] = {}
    for candidate in sorted(waiting, key=_age, reverse=True):
        lines.setdefault(candidate.namespace, []).append(candidate)
    taken: list[Candidate] = []
    while free is None or len(taken) < free:
        open_lines = [name for name, line in lines.items() if line and (not each or counts[name] < each)]
        if not open_lines:
            break
        name = min(open_lines, key=lambda name: (counts[name], _age(lines[name][-1])))
        taken.append(lines[name].pop())
        counts[name] += 1
    return taken


def _gpu_turns(candidates: Sequence[Candidate], limits: Limits) -> dict[str, str]:
    """Why a candidate may not start a Job with a GPU, empty if it may. Free GPUs go to those who wait for one, before others may ask."""
    holders = [candidate for candidate in candidates if candidate.gpu]
    counts = Counter(candidate.namespace for candidate in holders)
    free = _free(limits.gpu_jobs, len(holders))
    each = limits.gpu_jobs_per_namespace
    waiting = [candidate for candidate in candidates if candidate.waits_for_gpu and not candidate.gpu]
    chosen = {candidate.uid for candidate in _take(waiting, counts, free, each)}
    taken = counts + Counter(candidate.namespace for candidate in waiting if candidate.uid in chosen)
    found: dict[str, str] = {}
    for candidate in candidates:
        space = candidate.namespace
        if candidate.gpu or candidate.uid in chosen:
            found[candidate.uid] = ""
        elif each and taken[space] >= each:
            found[candidate.uid] = (
                f"namespace {space} has {counts[space]} of the {each} Jobs with a GPU that its profile allows at once"
            )
        elif free is not None and len(chosen) >= free:
            found[candidate.uid] = (
                f"profile {candidate.profile} has {len(holders)} of its {limits.gpu_jobs} Jobs with a GPU at work"
            )
        else:
            found[candidate.uid] = ""
    return found


def _why(candidate: Candidate, limits: Limits, in_namespace: int) -> str:
    each = limits.requests_per_namespace
    if each and in_namespace >= each:
        return (
            f"namespace {candidate.namespace} has its {each} requests of profile {candidate.profile} at work"
        )
    return f"profile {candidate.profile} has its {limits.requests} requests at work"


def _free(limit: int, used: int) -> int | None:
    return max(0, limit - used) if limit else None


def _share(limit: int, among: int) -> int:
    return max(1, limit // among) if limit else 0


def _age(candidate: Candidate) -> tuple[str, str]:
    return candidate.created, candidate.uid
