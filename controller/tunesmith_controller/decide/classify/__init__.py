"""Why a stage does not get on, or has failed: the most actionable cause first. Pure; an ordered table.

Asked of every pod from the newest back: what its container ended with, what keeps it from starting, who took it away. Only then of the
Job. What a pod that now runs went through before is of no interest, but for running out of memory twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from tunesmith_controller.decide.classify import disrupted, ended, jobs, starting
from tunesmith_controller.decide.classify.facts import Finding, JobFacts, PodFacts
from tunesmith_controller.decide.model import Event, Object

__all__ = ["Finding", "classify", "lost_node"]

Facts = TypeVar("Facts")

# The order is the point: a cause that the reader can mend goes before one that only says that something went wrong.
_OF_A_POD: tuple[Callable[[PodFacts], Finding | None], ...] = (
    ended.out_of_memory,
    ended.no_gpu,
    ended.said_so_itself,
    starting.image,
    starting.configuration,
    starting.unschedulable,
    starting.volume,
    ended.not_started,
    disrupted.evicted,
    disrupted.rejected,
    disrupted.disrupted,
    ended.crashed,
)
_OF_THE_JOB: tuple[Callable[[JobFacts], Finding | None], ...] = (
    jobs.quota,
    jobs.pod_security,
    jobs.service_account,
    jobs.classes,
    jobs.refused,
    jobs.deadline,
    jobs.given_up,
)


def classify(
    job: Object, pods: Sequence[Object], events: Mapping[str, Sequence[Event]], now: datetime, *, stage: str
) -> Finding | None:
    """The cause that helps most, of a Job that has failed or whose pod does not run; None if it gets on. `events`: by uid."""
    facts = JobFacts(job, stage, tuple(events.get(job["metadata"]["uid"], ())))
    mine = [
        PodFacts(pod, stage, tuple(events.get(pod["metadata"]["uid"], ()))) for pod in _oldest_first(pods)
    ]
    if facts.complete:
        return None
    if (found := ended.out_of_memory_twice(mine)) is not None:
        return found
    if not facts.failed and mine and (found := disrupted.node_lost(mine[-1], now)) is not None:
        return found
    if not facts.failed and mine and (mine[-1].running or mine[-1].succeeded):
        return None
    found = _first_of(mine)
    if not facts.failed:
        return found or (None if mine and mine[-1].alive else _first(_OF_THE_JOB, facts))
    if found is None:
        return _first(_OF_THE_JOB, facts)
    if facts.reason == "BackoffLimitExceeded" and facts.failures > 1:
        found = replace(
            found, message=f"{found.message.rstrip('.')} (the last of {facts.failures} failed tries)"
        )
    return replace(found, final=True)


def lost_node(pods: Sequence[Object], stage: str, now: datetime) -> Finding | None:
    """Why the newest pod of a Job that is to go does not; None if it still may."""
    mine = [PodFacts(pod, stage) for pod in _oldest_first(pods)]
    return disrupted.node_lost(mine[-1], now) if mine else None


def _first_of(pods: Sequence[PodFacts]) -> Finding | None:
    return next((found for pod in reversed(pods) if (found := _first(_OF_A_POD, pod)) is not None), None)


def _first(table: Sequence[Callable[[Facts], Finding | None]], facts: Facts) -> Finding | None:
    return next((found for rule in table if (found := rule(facts)) is not None), None)


def _oldest_first(pods: Sequence[Object]) -> list[Object]:
    return sorted(
        pods, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"])
    )
