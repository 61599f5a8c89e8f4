"""What is kept of an object in a cache: a Job of 7 KB becomes one of 1.5 KB, a request of 600 KB one of 3 KB.

Pure.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.stages import STAGES
from tunesmith_controller.decide.model import Object
from tunesmith_controller.decide.objects import is_current, referenced

# Labels and annotations of a request are its owner's, and as long as they like.
_REQUEST_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
)
_METADATA = (
    *_REQUEST_METADATA,
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
)
_LONG = "kubectl.kubernetes.io/last-applied-configuration"
_REQUEST_SPEC = ("profile", "run", "suspend")
WHOLE = 4096  # characters up to which a spec is kept until it is decided about; a longer one is read again
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
    "schedulerName",
    "schedulingGates",
)
_POD_STATUS = (
    "phase",
    "reason",
    "message",
    "startTime",
    "conditions",
    "containerStatuses",
    "initContainerStatuses",
    "nominatedNodeName",
)
_CONTAINER = ("name", "image", "resources")


def trim_request(item: Mapping[str, Any]) -> Object:
    """A request without the texts of its spec: only what every decision reads.

    The first decision about a generation needs the whole spec. Until then a short one is kept, and `whole`
    says so.
    """
    spec = item.get("spec") or {}
    # What is in the cache already may be trimmed again, with a new status.
    whole = item.get("whole", True) and not is_current(item) and len(json.dumps(spec)) <= WHOLE
    return {
        **_head(item),
        "metadata": _some(item["metadata"], _REQUEST_METADATA),
        "spec": spec if whole else _standing_spec(item),
        "status": item.get("status") or {},
        "whole": whole,
    }


def _standing_spec(item: Mapping[str, Any]) -> dict[str, Any]:
    """What every decision reads of a request's spec."""
    kept = _some(item.get("spec") or {}, _REQUEST_SPEC)
    for name, stage in referenced(item):
        part, field = STAGES[stage].reference.split(".")
        kept[part] = {field: {"request": name}}
    return kept


def trim_job(item: Mapping[str, Any]) -> Object:
    """A Job; of its pod template, only what its containers ask for."""
    spec = item.get("spec", {})
    pod = spec.get("template", {}).get("spec", {})
    template = {"spec": {"containers": _containers(pod)}}
    status = dict(item.get("status", {}))
    status.pop("uncountedTerminatedPods", None)
    return {
        **_head(item),
        "metadata": _metadata(item),
        "spec": {**_some(spec, _JOB_SPEC), "template": template},
        "status": status,
    }


def trim_pod(item: Mapping[str, Any]) -> Object:
    """A pod: where it is and how its containers are."""
    spec = item.get("spec", {})
    return {
        **_head(item),
        "metadata": _metadata(item),
        "spec": {**_some(spec, _POD_SPEC), "containers": _containers(spec)},
        "status": _some(item.get("status", {}), _POD_STATUS),
    }


def _containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_some(container, _CONTAINER) for container in pod.get("containers", ())]


def _head(item: Mapping[str, Any]) -> dict[str, Any]:
    return _some(item, ("apiVersion", "kind"))


def _metadata(item: Mapping[str, Any]) -> dict[str, Any]:
    kept = _some(item["metadata"], _METADATA)
    if _LONG in kept.get("annotations", {}):
        kept["annotations"] = {name: value for name, value in kept["annotations"].items() if name != _LONG}
    return kept


def _some(item: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: item[name] for name in names if name in item}
