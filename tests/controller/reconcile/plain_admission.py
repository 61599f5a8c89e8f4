"""The rule of admission, written plainly: computed anew from all candidates, one place after another.

`Admission` keeps the same answer up to date. This is what it is compared with.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from tunesmith.profile import Limits
from tunesmith_controller.decide.admission import Candidate
from tunesmith_controller.decide.model import Turn


def plain_turns(candidates: Sequence[Candidate], limits: Mapping[str, Limits]) -> dict[str, Turn]:
    """For each candidate's uid: whether it may run, its place in the queue, and its share of the teacher."""
    turns: dict[str, Turn] = {}
    for profile in {candidate.profile for candidate in candidates}:
        of_profile = [candidate for candidate in candidates if candidate.profile == profile]
        turns |= _of_profile(of_profile, limits.get(profile, Limits()))
    return turns


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
        counted = candidate.generating or candidate.uid in starting
        sharing = generators if counted else generators + 1
        turns[candidate.uid] = Turn(
            place=place,
            why=_why(candidate, limits, counts[candidate.namespace]) if place else "",
            gpu=not gpu[candidate.uid],
            gpu_why=gpu[candidate.uid],
            teacher_rate=_share(limits.teacher_requests_per_minute, sharing),
        )
    return turns


def _take(
    waiting: Sequence[Candidate], at_work: Mapping[str, int], free: int | None, each: int
) -> list[Candidate]:
    """The candidates that may start, in order: each time the oldest of the namespace with the fewest running.

    `free`: places in total, `each`: places of one namespace; None and 0 are unlimited.

    """
    counts = Counter(at_work)
    lines: dict[str, list[Candidate]] = {}
    for candidate in sorted(waiting, key=lambda one: one.age, reverse=True):
        lines.setdefault(candidate.namespace, []).append(candidate)
    taken: list[Candidate] = []
    while free is None or len(taken) < free:
        open_lines = [name for name, line in lines.items() if line and (not each or counts[name] < each)]
        if not open_lines:
            break
        name = min(open_lines, key=lambda name: (counts[name], lines[name][-1].age))
        taken.append(lines[name].pop())
        counts[name] += 1
    return taken


def _gpu_turns(candidates: Sequence[Candidate], limits: Limits) -> dict[str, str]:
    """Why a candidate may not start a Job with a GPU; empty if it may.

    Free GPUs go to those that wait for one first.
    """
    holders = [candidate for candidate in candidates if candidate.gpu]
    counts = Counter(candidate.namespace for candidate in holders)
    free = _free(limits.gpu_jobs, len(holders))
    each = limits.gpu_jobs_per_namespace
    waiting = [candidate for candidate in candidates if candidate.waits_for_gpu and not candidate.gpu]
    chosen = {candidate.uid for candidate in _take(waiting, counts, free, each)}
    taken = counts + Counter(candidate.namespace for candidate in waiting if candidate.uid in chosen)
    reasons: dict[str, str] = {}
    for candidate in candidates:
        space = candidate.namespace
        if candidate.gpu or candidate.uid in chosen:
            why = ""
        elif each and taken[space] >= each:
            running = f"{counts[space]} of the {each} Jobs with a GPU"
            why = f"namespace {space} runs {running} that its profile allows at once"
        elif free is not None and len(chosen) >= free:
            why = f"profile {candidate.profile} runs {len(holders)} of its {limits.gpu_jobs} Jobs with a GPU"
        else:
            why = ""
        reasons[candidate.uid] = why
    return reasons


def _why(candidate: Candidate, limits: Limits, in_namespace: int) -> str:
    each = limits.requests_per_namespace
    if each and in_namespace >= each:
        limit = f"the limit of profile {candidate.profile} (limits.requestsPerNamespace: {each})"
        return f"namespace {candidate.namespace} has reached {limit}"
    return f"profile {candidate.profile} has reached its limit (limits.requests: {limits.requests})"


def _free(limit: int, used: int) -> int | None:
    return max(0, limit - used) if limit else None


def _share(limit: int, sharing: int) -> int:
    return max(1, limit // sharing) if limit else 0
