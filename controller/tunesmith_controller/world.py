"""The World of a request: what the caches hold about it, and the little that has to be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tunesmith.events import Progress
from tunesmith_controller.api import Api, Call, NotFound
from tunesmith_controller.cache import Cache
from tunesmith_controller.decide.admission import has_a_job
from tunesmith_controller.decide.model import Object, Other, World
from tunesmith_controller.decide.objects import read_status
from tunesmith_controller.event_reader import EventReader, stuck
from tunesmith_controller.rights import JOBS
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.trim import (
    owners,
    pod_belongs,
    referenced,
    references,
    request_label,
    run_of,
    same_run,
    trim_job,
    trim_pod,
    trim_request,
)


class Caches:
    """The three stores."""

    def __init__(self) -> None:
        self.requests = Cache(trim_request, {"references": references, "run": same_run})
        self.jobs = Cache(trim_job, {"owner": owners})
        self.pods = Cache(trim_pod, {"request": request_label})

    def jobs_of(self, request: Object) -> list[Object]:
        """Jobs of a request, by its uid."""
        return self.jobs.by("owner", request["metadata"]["uid"])

    def pods_of(self, request: Object, jobs: list[Object]) -> list[Object]:
        """Pods of a request, by its uid."""
        metadata = request["metadata"]
        found = self.pods.by("request", f"{metadata['namespace']}/{metadata['name']}")
        return [pod for pod in found if pod_belongs(pod, request, jobs)]


@dataclass(frozen=True)
class Gathered:
    """A World without its turn, and the seconds after which something that no watch tells may have changed."""

    world: World
    again: float | None = None


def gather(
    api: Api,
    caches: Caches,
    snapshots: SnapshotReader,
    troubles: EventReader,
    request: Object,
    now: datetime,
    *,
    progress: Mapping[str, Progress],
    failed_to_create: str = "",
) -> Gathered:
    """Everything about a request. Raises ApiError or Unreachable if something that matters cannot be read for now."""
    jobs = caches.jobs_of(request)
    jobs += _lost(api, caches, request, jobs)
    pods = caches.pods_of(request, jobs)
    objects, again = stuck(jobs, pods, now)
    world = World(
        request=request,
        jobs=jobs,
        pods=pods,
        snapshot=snapshots.of(request),
        others=others(caches.requests, request),
        run_taken_by=run_taken_by(caches.requests, request),
        progress={
            uid: told for pod in pods if (told := progress.get(uid := pod["metadata"]["uid"])) is not None
        },
        events=troubles.events(request["metadata"]["namespace"], objects),
        failed_to_create=failed_to_create,
    )
    return Gathered(world, again)


def others(requests: Cache, request: Object) -> dict[str, Other]:
    """The requests that this one reads from, as far as they exist."""
    found: dict[str, Other] = {}
    for name in referenced(request):
        other = requests.get((request["metadata"]["namespace"], name))
        if other is None:
            continue
        status: Mapping[str, Any] = other.get("status") or {}
        current = status.get("observedGeneration") == other["metadata"].get("generation")
        done = [
            row["name"] for row in status.get("stages") or () if current and row.get("phase") == "Succeeded"
        ]
        found[name] = Other(
            run=status.get("run") or "",
            finished=frozenset(done),
            failed=current and status.get("phase") == "Failed",
        )
    return found


def run_taken_by(requests: Cache, request: Object) -> str:
    """Name of a request that works on the same run, or of an older one that wants to. Empty if there is none."""
    mine = _age_of(request)
    for other in sorted(
        requests.by("run", f"{request['metadata']['namespace']}/{run_of(request)}"), key=_age_of
    ):
        if other["metadata"]["uid"] == request["metadata"]["uid"]:
            continue
        status = other.get("status") or {}
        over = status.get("phase") in ("Succeeded", "Failed") and status.get("observedGeneration") == other[
            "metadata"
        ].get("generation")
        if has_a_job(read_status(other)) or (_age_of(other) < mine and not over):
            return str(other["metadata"]["name"])
    return ""


def _lost(api: Api, caches: Caches, request: Object, jobs: list[Object]) -> list[Object]:
    """Asks for Jobs that the status says run, but that the cache lacks; those that there are.

    The caches are filled by watches of their own. That of Jobs may be behind that of requests, most of all in a new leader: such a Job
    would be taken for lost, and its stage would get a second one.
    """
    metadata, known = request["metadata"], {job["metadata"]["name"] for job in jobs}
    found = []
    for row in (request.get("status") or {}).get("stages") or ():
        if row.get("phase") in ("Running", "Stopping") and row.get("job") and row["job"] not in known:
            try:
                job = api.send(Call("get", JOBS, metadata["namespace"], row["job"]))
            except NotFound:
                continue
            if metadata["uid"] in owners(job):
                caches.jobs.put_answer(
                    job
                )  # which a list that began before the Job was made may have taken for gone
                found.append(trim_job(job))
    return found


def _age_of(request: Object) -> tuple[str, str]:
    return request["metadata"].get("creationTimestamp", ""), request["metadata"]["uid"]
