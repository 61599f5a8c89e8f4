"""Gathers the World of a request: what the caches hold about it, and the little that has to be asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tunesmith.events import Progress
from tunesmith_controller.api import Api, Call, NotFound
from tunesmith_controller.cache import Cache
from tunesmith_controller.caches import Caches, pod_belongs, referenced, run_of
from tunesmith_controller.decide.admission import has_a_job
from tunesmith_controller.decide.model import Object, Other, World
from tunesmith_controller.decide.objects import created, name_of, owner_uids, read_status, status_of, uid_of
from tunesmith_controller.event_reader import EventReader, stuck
from tunesmith_controller.rights import JOBS
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.trim import trim_job


@dataclass(frozen=True)
class Sources:
    """What a World is gathered from. `progress`: by the uid of a pod."""

    api: Api
    caches: Caches
    snapshots: SnapshotReader
    events: EventReader
    progress: Mapping[str, Progress]


@dataclass(frozen=True)
class Gathered:
    """A World without its turn.

    `again`: seconds after which something that no watch reports may have changed.
    """

    world: World
    again: float | None = None


def gather(sources: Sources, request: Object, now: datetime, *, failed_to_create: str = "") -> Gathered:
    """Everything about a request.

    Raises ApiError or Unreachable if something that matters cannot be read now.
    """
    caches = sources.caches
    jobs = caches.jobs_of(request)
    gone_jobs = _without(jobs, [job for job in caches.gone_jobs.of(request) if _is_of(job, request)])
    jobs += _missing_jobs(sources, request, [*jobs, *gone_jobs])
    pods = caches.pods_of(request, [*jobs, *gone_jobs])
    gone_pods = [
        pod for pod in caches.gone_pods.of(request) if pod_belongs(pod, request, [*jobs, *gone_jobs])
    ]
    suspects, again = stuck(jobs, pods, now)
    uids = [uid_of(pod) for pod in pods]
    world = World(
        request=request,
        jobs=jobs,
        pods=pods,
        gone_jobs=gone_jobs,
        gone_pods=_without(pods, gone_pods),
        snapshot=sources.snapshots.of(request),
        others=others(caches.requests, request),
        run_taken_by=run_taken_by(caches.requests, request),
        progress={uid: sources.progress[uid] for uid in uids if uid in sources.progress},
        events=sources.events.events(request["metadata"]["namespace"], suspects),
        failed_to_create=failed_to_create,
    )
    return Gathered(world, again)


def _is_of(job: Object, request: Object) -> bool:
    return uid_of(request) in owner_uids(job)


def _without(there: Sequence[Object], gone: Sequence[Object]) -> list[Object]:
    """What is gone, without what has come back under its name or was not gone yet when the cache was read."""
    names = {name_of(item) for item in there}
    return [item for item in gone if name_of(item) not in names]


def others(requests: Cache, request: Object) -> dict[str, Other]:
    """The requests that this one reads from, as far as they exist."""
    existing: dict[str, Other] = {}
    for name in referenced(request):
        other = requests.get((request["metadata"]["namespace"], name))
        if other is not None:
            existing[name] = _other(other)
    return existing


def _other(request: Object) -> Other:
    status = status_of(request)
    if not _is_current(request):
        return Other(run=status.get("run") or "")
    rows: list[Mapping[str, Any]] = list(status.get("stages") or ())
    return Other(
        run=status.get("run") or "",
        finished=frozenset(row["name"] for row in rows if row.get("phase") == "Succeeded"),
        failed=status.get("phase") == "Failed",
    )


def run_taken_by(requests: Cache, request: Object) -> str:
    """Name of a request that works on the same run, or of an older one that wants to; empty without one."""
    age = _age_of(request)
    same_run = requests.by("run", f"{request['metadata']['namespace']}/{run_of(request)}")
    for other in sorted(same_run, key=_age_of):
        if uid_of(other) == uid_of(request):
            continue
        ended = _is_current(other) and status_of(other).get("phase") in ("Succeeded", "Failed")
        if has_a_job(read_status(other)) or (_age_of(other) < age and not ended):
            return name_of(other)
    return ""


def _is_current(request: Object) -> bool:
    """Whether the status is about the present generation."""
    return bool(status_of(request).get("observedGeneration") == request["metadata"].get("generation"))


def _missing_jobs(sources: Sources, request: Object, jobs: list[Object]) -> list[Object]:
    """The Jobs that run according to the status but are not in the cache, as far as the API server has them.

    Each cache is filled by a watch of its own. The watch of Jobs may be behind that of requests, most of all
    in a new leader: such a Job would be taken for lost, and its stage would get a second one.
    """
    namespace = request["metadata"]["namespace"]
    known = {name_of(job) for job in jobs}
    missing = []
    for row in status_of(request).get("stages") or ():
        name = row.get("job")
        if not name or name in known or row.get("phase") not in ("Running", "Stopping"):
            continue
        try:
            job = sources.api.send(Call("get", JOBS, namespace, name))
        except NotFound:
            continue
        if uid_of(request) in owner_uids(job):
            # A list that began before the Job was created may have taken it for gone.
            sources.caches.jobs.put_answer(job)
            missing.append(trim_job(job))
    return missing


def _age_of(request: Object) -> tuple[str, str]:
    return created(request), uid_of(request)
