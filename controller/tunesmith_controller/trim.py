"""What is kept of an object, and by what it is found: a Job of 7 KB becomes one of 1.5. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.children import job_name, run_name
from tunesmith.wire import ATTEMPT, KEY, KIND, REQUEST, STAGE
from tunesmith_controller.decide.model import Object

_METADATA = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "labels", "annotations", "ownerReferences", "finalizers",
)  # fmt: skip
_LONG = "kubectl.kubernetes.io/last-applied-configuration"
_JOB_SPEC = (
    "suspend",
    "backoffLimit",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "parallelism",
    "completions",
)
_POD_SPEC = (
    "nodeName",
    "priorityClassName",
    "terminationGracePeriodSeconds",
    "serviceAccountName",
    "schedulingGates",
)
_POD_STATUS = (
    "phase", "reason", "message", "startTime", "conditions", "containerStatuses", "initContainerStatuses", "nominatedNodeName",
)  # fmt: skip
_CONTAINER = ("name", "image", "resources")


def trim_request(item: Mapping[str, Any]) -> Object:
    """A request without what others wrote into its metadata."""
    return {**item, "metadata": _metadata(item)}


def trim_job(item: Mapping[str, Any]) -> Object:
    """A Job without its pod template, but for what its containers ask for."""
    spec = item.get("spec", {})
    pod = spec.get("template", {}).get("spec", {})
    template = {
        "spec": {"containers": [_some(container, _CONTAINER) for container in pod.get("containers", ())]}
    }
    status = {
        name: value for name, value in item.get("status", {}).items() if name != "uncountedTerminatedPods"
    }
    return {
        **_head(item),
        "metadata": _metadata(item),
        "spec": {**_some(spec, _JOB_SPEC), "template": template},
        "status": status,
    }


def trim_pod(item: Mapping[str, Any]) -> Object:
    """A pod: where it is and how its containers are."""
    spec = item.get("spec", {})
    containers = [_some(container, _CONTAINER) for container in spec.get("containers", ())]
    return {
        **_head(item),
        "metadata": _metadata(item),
        "spec": {**_some(spec, _POD_SPEC), "containers": containers},
        "status": _some(item.get("status", {}), _POD_STATUS),
    }


def owners(item: Object) -> Iterable[str]:
    """Index: uids of the owners."""
    return [reference["uid"] for reference in item["metadata"].get("ownerReferences", ())]


def request_label(item: Object) -> Iterable[str]:
    """Index: `namespace/request` by the label, for pods."""
    name = item["metadata"].get("labels", {}).get(REQUEST)
    return [f"{item['metadata'].get('namespace', '')}/{name}"] if name else []


def request_name(item: Object) -> str:
    """Name of the request that owns a Job, or that a pod's label names. Empty if none."""
    for reference in item["metadata"].get("ownerReferences", ()):
        if reference.get("kind") == KIND:
            return str(reference["name"])
    return str(item["metadata"].get("labels", {}).get(REQUEST, ""))


def references(request: Object) -> Iterable[str]:
    """Index: `namespace/name` of the requests that this one reads from."""
    return [f"{request['metadata']['namespace']}/{name}" for name in referenced(request)]


def referenced(request: Object) -> list[str]:
    """Names of the requests that this one reads from. Nothing of the spec is trusted: it may be older than the schema."""
    found = []
    for part in ("data", "training"):
        section = request.get("spec", {}).get(part)
        source = section.get("from") if isinstance(section, Mapping) else None
        name = source.get("request") if isinstance(source, Mapping) else None
        if isinstance(name, str) and name:
            found.append(name)
    return found


def run_of(request: Object) -> str:
    """The run that a request works on."""
    metadata = request["metadata"]
    return str(request.get("spec", {}).get("run") or run_name(metadata["name"], metadata["uid"]))


def same_run(request: Object) -> Iterable[str]:
    """Index: `namespace/run`."""
    return [f"{request['metadata']['namespace']}/{run_of(request)}"]


def pod_belongs(pod: Object, request: Object, jobs: Iterable[Object]) -> bool:
    """Whether a pod with a request's label is this request's, and not one of an earlier request of that name.

    Its Job may be gone already (`kubectl delete job` leaves pods behind for a while): then the Job's name tells, it comes from the uid.
    """
    owned_by = {
        reference["uid"]: reference["name"]
        for reference in pod["metadata"].get("ownerReferences", ())
        if reference["kind"] == "Job"
    }
    if owned_by.keys() & {job["metadata"]["uid"] for job in jobs}:
        return True
    labels, metadata = pod["metadata"].get("labels", {}), request["metadata"]
    if not labels.get(ATTEMPT, "").isdigit():
        return False
    name = job_name(
        metadata["name"], metadata["uid"], labels.get(STAGE, ""), labels.get(KEY, ""), int(labels[ATTEMPT])
    )
    return name in owned_by.values()


def _head(item: Mapping[str, Any]) -> dict[str, Any]:
    return _some(item, ("apiVersion", "kind"))


def _metadata(item: Mapping[str, Any]) -> dict[str, Any]:
    kept = _some(item["metadata"], _METADATA)
    if _LONG in kept.get("annotations", {}):
        kept["annotations"] = {name: value for name, value in kept["annotations"].items() if name != _LONG}
    return kept


def _some(item: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: item[name] for name in names if name in item}
