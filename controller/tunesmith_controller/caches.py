"""The three caches, of requests, Jobs and pods, and what they find objects by."""

from collections.abc import Iterable, Mapping
from functools import partial

from tunesmith.children import job_name, run_name
from tunesmith.stages import STAGES
from tunesmith.wire import ATTEMPT, KEY, KIND, REQUEST, STAGE
from tunesmith_controller.cache import Cache
from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import label, name_of, namespace_of, owner_uids, uid_of
from tunesmith_controller.gone import LastStates
from tunesmith_controller.trim import trim_job, trim_pod, trim_request


class Caches:
    """What the watches keep."""

    def __init__(self) -> None:
        self.requests = Cache(trim_request, {"references": references, "run": same_run})
        self.jobs = Cache(trim_job, {"owner": owner_uids})
        self.pods = Cache(trim_pod, {"request": request_label})
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

    def _remember(self, gone: LastStates, last: Object) -> None:
        request = self.requests.get((namespace_of(last), request_name(last)))
        if request is not None:
            gone.add(request, last)


def request_label(item: Object) -> Iterable[str]:
    """Index: `namespace/request` by the label, for pods."""
    name = label(item, REQUEST)
    return [f"{item['metadata'].get('namespace', '')}/{name}"] if name else []


def references(request: Object) -> Iterable[str]:
    """Index: `namespace/name` of the requests that this one reads from."""
    return [f"{request['metadata']['namespace']}/{name}" for name in referenced(request)]


def same_run(request: Object) -> Iterable[str]:
    """Index: `namespace/run`."""
    return [f"{request['metadata']['namespace']}/{run_of(request)}"]


def request_name(item: Object) -> str:
    """Name of the request that owns a Job, or that a pod's label names; empty without one."""
    for reference in item["metadata"].get("ownerReferences", ()):
        if reference.get("kind") == KIND:
            return str(reference["name"])
    return label(item, REQUEST)


def referenced(request: Object) -> list[str]:
    """Names of the requests that this one reads from.

    The spec may be older than its schema, so nothing in it is trusted.
    """
    names = []
    for kind in STAGES.values():
        if not kind.reference:
            continue
        part: object = request.get("spec", {})
        for field in (*kind.reference.split("."), "request"):
            part = part.get(field) if isinstance(part, Mapping) else None
        if isinstance(part, str) and part:
            names.append(part)
    return names


def run_of(request: Object) -> str:
    """The run that a request works on."""
    return str(request.get("spec", {}).get("run") or run_name(name_of(request), uid_of(request)))


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
