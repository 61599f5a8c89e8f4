"""Gathers the World of a request: what the caches hold about it, and the little that has to be asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tunesmith.events import Progress
from tunesmith_controller.api import Api, Call, NotFound
from tunesmith_controller.caches import Caches, pod_belongs
from tunesmith_controller.decide.model import Object, Other, World
from tunesmith_controller.decide.objects import (
    UNREADABLE,
    created,
    identity,
    name_of,
    namespace_of,
    owner_uids,
    referenced,
    run_of,
    status_of,
    uid_of,
)
from tunesmith_controller.event_reader import EventReader, stuck
from tunesmith_controller.rights import JOBS, REQUESTS
from tunesmith_controller.salvage import read_item
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.trim import trim_job, trim_request

MOST_OTHERS = 100  # requests in which a ring is looked for


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
    snapshot = sources.snapshots.of(request)
    if snapshot is None or snapshot.frozen.generation != identity(request).generation:
        request = _whole(sources, request)
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
        snapshot=snapshot,
        others=others(caches, request),
        run_taken_by=run_taken_by(caches, request),
        progress={uid: sources.progress[uid] for uid in uids if uid in sources.progress},
        events=sources.events.events(namespace_of(request), suspects),
        failed_to_create=failed_to_create,
    )
    return Gathered(world, again)


def _whole(sources: Sources, request: Object) -> Object:
    """The request with its whole spec; newer than the one that is known, if it was edited meanwhile.

    Raises NotFound if it is gone.
    """
    if request.get("whole") or UNREADABLE in request:
        return request
    metadata = request["metadata"]
    item = sources.api.send(Call("get", REQUESTS, metadata["namespace"], metadata["name"]), read=read_item)
    if uid_of(item) != uid_of(request):
        raise NotFound(404, "NotFound", f"{metadata['name']} was created again")
    sources.caches.requests.put_answer(item)
    return {**item, **trim_request(item), "spec": item.get("spec") or {}}


def _is_of(job: Object, request: Object) -> bool:
    return uid_of(request) in owner_uids(job)


def _without(there: Sequence[Object], gone: Sequence[Object]) -> list[Object]:
    """What is gone, without what has come back under its name or was not gone yet when the cache was read."""
    names = {name_of(item) for item in there}
    return [item for item in gone if name_of(item) not in names]


def others(caches: Caches, request: Object) -> dict[str, Other]:
    """The requests that this one reads from, and those that they wait for, as far as they exist."""
    found: dict[str, Other] = {}
    names = [name for name, _ in referenced(request)]
    while names and len(found) < MOST_OTHERS:
        name = names.pop()
        standing = caches.standing((namespace_of(request), name))
        if standing is not None and name not in found:
            found[name] = standing.other
            names += [read for read, _ in standing.other.reads]
    return found


def run_taken_by(caches: Caches, request: Object) -> str:
    """Name of a request that works on the same run, or of an older one that wants to; empty without one."""
    age = (created(request), uid_of(request))
    on_run = caches.on_run(namespace_of(request), run_of(request))
    before = [
        other
        for other in on_run
        if other.uid != uid_of(request) and (other.works or (other.age < age and not other.ended))
    ]
    return min(before, key=lambda other: other.age).name if before else ""


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
