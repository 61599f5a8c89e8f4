"""Why a stage makes no progress, or has failed: the most actionable cause first. An ordered table of rules.

They are asked about every pod from the newest back: what its container ended with, what keeps it from
starting, who took it away; and only then about the Job. The earlier pods of one that is running now do not
matter, unless two of them ran out of memory.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tunesmith_controller.decide.classify import disrupted, ended, jobs, starting
from tunesmith_controller.decide.classify.facts import Finding, JobFacts, PodFacts, job_facts, pod_facts
from tunesmith_controller.decide.classify.jobs import not_created
from tunesmith_controller.decide.model import Event, Object
from tunesmith_controller.decide.objects import oldest_first, uid_of

__all__ = ["Finding", "classify", "lost_node", "not_created"]

# The order is the point: a cause that the reader can fix goes before one that only says that something went
# wrong.
_POD_RULES: tuple[Callable[[PodFacts], Finding | None], ...] = (
    ended.init_container,
    ended.out_of_memory,
    ended.no_gpu,
    ended.reported,
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
_JOB_RULES: tuple[Callable[[JobFacts], Finding | None], ...] = (
    jobs.quota,
    jobs.limit_range,
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
    """The cause that helps most, of a Job that has failed or whose pod does not run; None if all is well.

    `events`: by uid.
    """
    facts = job_facts(job, stage, events.get(uid_of(job), ()))
    of_pods = [pod_facts(pod, stage, events.get(uid_of(pod), ())) for pod in oldest_first(pods)]
    if facts.complete:
        return None
    hopeless = (
        ended.out_of_memory_twice(of_pods)
        or ended.crashes_again(of_pods)
        or disrupted.scratch_full_again(of_pods)
    )
    if hopeless is not None:
        return hopeless
    return _of_failed(facts, of_pods) if facts.failed else _of_live(facts, of_pods, now)


def lost_node(pods: Sequence[Object], stage: str, now: datetime) -> Finding | None:
    """Why the newest pod of a Job that is to go stays; None if it may still go."""
    ordered = oldest_first(pods)
    return disrupted.node_lost(pod_facts(ordered[-1], stage), now) if ordered else None


def _of_live(job: JobFacts, pods: Sequence[PodFacts], now: datetime) -> Finding | None:
    """What keeps a Job from running that may still run."""
    if not pods:
        return _first(rule(job) for rule in _JOB_RULES)
    newest = pods[-1]
    lost = disrupted.node_lost(newest, now)
    if lost is not None:
        return lost
    if newest.running or newest.succeeded:
        return None
    finding = starting.init_container(newest, now) or _of_pods(pods) or starting.no_scheduler(newest, now)
    if finding is not None or newest.alive:
        return finding
    return _first(rule(job) for rule in _JOB_RULES)


def _of_failed(job: JobFacts, pods: Sequence[PodFacts]) -> Finding | None:
    """Why a Job has given up."""
    finding = _of_pods(pods)
    if finding is None:
        return _first(rule(job) for rule in _JOB_RULES)
    if job.reason == "BackoffLimitExceeded" and job.failures > 1:
        tries = f"{finding.message.rstrip('.')} (the last of {job.failures} failed tries)"
        finding = replace(finding, message=tries)
    remedy = finding.remedy
    for helps, then in disrupted.GIVEN_UP.items():
        remedy = remedy.replace(helps, then)
    return replace(finding, remedy=remedy, final=True)


def _of_pods(pods: Sequence[PodFacts]) -> Finding | None:
    return _first(rule(pod) for pod in reversed(pods) for rule in _POD_RULES)


def _first(findings: Iterable[Finding | None]) -> Finding | None:
    return next((finding for finding in findings if finding is not None), None)
