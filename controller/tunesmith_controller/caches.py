"""The three caches, of requests, Jobs and pods, and what they find objects by."""

from collections.abc import Iterable
from functools import partial

from tunesmith.children import job_name
from tunesmith.wire import ATTEMPT, KEY, KIND, REQUEST, STAGE
from tunesmith_controller.cache import Cache, Key
from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import (
    alive,
    label,
    name_of,
    namespace_of,
    owner_uids,
    referenced,
    run_of,
    running,
    terminating,
    uid_of,
    unfinished,
)
from tunesmith_controller.decide.standing import Standing, standing
from tunesmith_controller.gone import LastStates
from tunesmith_controller.trim import trim_job, trim_pod, trim_request


class Caches:
    """What the watches keep."""

    def __init__(self) -> None:
        self.requests = Cache(
            trim_request,
            {"references": references, "run": same_run},
            summary=standing,
            packed=lambda _request: True,
        )
        self.jobs = Cache(trim_job, {"owner": owner_uids}, packed=lambda job: not unfinished(job))
        self.pods = Cache(
            trim_pod, {"request": request_label, "running": running_pod}, packed=lambda pod: not alive(pod)
        )
        self.gone_jobs = LastStates()
        self.gone_pods = LastStates()
        self.jobs.buried = partial(self._remember, self.gone_jobs)
        self.pods.buried = partial(self._remember, self.gone_pods)

    def jobs_of(self, request: Object) -> list[Object]:
        """The Jobs of a request, by its uid."""
        return self.jobs.by("owner", uid_of(request))

    def pods_of(self, request: Object, jobs: list[Object]) -> list[Object]:
        """The pods of a request, by its uid. `jobs`: its Jobs."""
        pods = self.pods.by("request", f"{request['metadata']['namespace']}/{name_of(request)}")
        return [pod for pod in pods if pod_belongs(pod, request, jobs)]

    def standings(self) -> list[Standing]:
        """How every request stands."""
        return self.requests.summaries()

    def standing(self, key: Key) -> Standing | None:
        """How a request stands; None if it is not there."""
        standing: Standing | None = self.requests.summary(key)
        return standing

    def on_run(self, namespace: str, run: str) -> list[Standing]:
        """How the requests stand that work on a run."""
        return self.requests.summaries_by("run", f"{namespace}/{run}")

    def readers(self, namespace: str, name: str) -> list[Standing]:
        """How the requests stand that read from one."""
        return self.requests.summaries_by("references", f"{namespace}/{name}")

    def _remember(self, gone: LastStates, last: Object) -> None:
        request = self.requests.get((namespace_of(last), request_name(last)))
        if request is not None:
            gone.add(request, last)


def request_label(item: Object) -> Iterable[str]:
    """Index: `namespace/request` by the label, for pods."""
    name = label(item, REQUEST)
    return [f"{item['metadata'].get('namespace', '')}/{name}"] if name else []


def running_pod(pod: Object) -> Iterable[str]:
    """Index: pods whose log may tell of progress, all under one value."""
    return [""] if running(pod) and not terminating(pod) else []


def references(request: Object) -> Iterable[str]:
    """Index: `namespace/name` of the requests that this one reads from."""
    return [f"{request['metadata']['namespace']}/{name}" for name, _ in referenced(request)]


def same_run(request: Object) -> Iterable[str]:
    """Index: `namespace/run`."""
    return [f"{request['metadata']['namespace']}/{run_of(request)}"]


def request_name(item: Object) -> str:
    """Name of the request that owns a Job, or that a pod's label names; empty without one."""
    for reference in item["metadata"].get("ownerReferences", ()):
        if reference.get("kind") == KIND:
            return str(reference["name"])
    return label(item, REQUEST)


def pod_belongs(pod: Object, request: Object, jobs: Iterable[Object]) -> bool:
    """Whether a pod with a request's label is this request's, and not one of an earlier request of that name.

    Its Job may be gone already, since `kubectl delete job` leaves pods behind for a while. Then the Job's
    name tells, because it is derived from the request's uid.
    """
    owners = {
        reference["uid"]: reference["name"]
        for reference in pod["metadata"].get("ownerReferences", ())
        if reference["kind"] == "Job"
    }
    if owners.keys() & {uid_of(job) for job in jobs}:
        return True
    attempt = label(pod, ATTEMPT)
    if not attempt.isdigit():
        return False
    stage, key = label(pod, STAGE), label(pod, KEY)
    name = job_name(name_of(request), uid_of(request), stage, key, int(attempt))
    return name in owners.values()
