"""The short-lived pod through which a command line without credentials of its own reads a run's data. Pure.

It is conform with Pod Security `restricted`, has no API token, listens on its own loopback only, answers one session, and ends by
itself: when nobody asks for five minutes, and at its deadline in any case.
"""

from collections.abc import Mapping
from typing import Any, Literal

import tunesmith
from tunesmith import children
from tunesmith.cluster.identity import SCRATCH, environment, volumes
from tunesmith.profile import Profile
from tunesmith.request import API_VERSION, KIND
from tunesmith.resolve import Snapshot

Purpose = Literal["data", "infer"]
CONTAINER = "session"
PORT = 8080
SESSION = "tunesmith.dev/session"  # label: what the pod is for
_USER = 10001
_DEADLINE_SECONDS = 6 * 3600
_GPU = "nvidia.com/gpu"
_DATA_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}


def pod(
    name: str, purpose: Purpose, request: Mapping[str, Any], snapshot: Snapshot, profile: Profile, store: str, digest: str, *, owned: bool
) -> dict[str, Any]:
    """The pod. `digest`: sha256 of the session's token; `owned`: goes with the request (not where the request is about to go)."""
    metadata = request["metadata"]
    infer = purpose == "infer"
    found, mounts = volumes(profile, scratch=_scratch(profile, infer=infer))
    owner = {"apiVersion": API_VERSION, "kind": KIND, "name": metadata["name"], "uid": metadata["uid"]}
    container = {
        "name": CONTAINER,
        "image": profile.images.train if infer else profile.images.generate,
        "imagePullPolicy": profile.images.pull_policy,
        "command": ["python", "-m", "tunesmith_jobs.serve", "--store", store, "--work", SCRATCH, "--port", str(PORT)],
        "env": [{"name": "TUNESMITH_SESSION", "value": digest}, *environment(profile, snapshot, hub=infer)],
        "resources": _infer_resources(snapshot) if infer else _DATA_RESOURCES,
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": _DEADLINE_SECONDS,
        "terminationGracePeriodSeconds": 5,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "serviceAccountName": profile.service_account_name or "default",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": found,
    }
    if profile.images.pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret} for secret in profile.images.pull_secrets]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            # Not the controller's: what it makes is managed by `tunesmith`, and this is none of its pods.
            "labels": children.labels(metadata["name"], "session", tunesmith.__version__)
            | {children.MANAGED_BY: "tunesmith-cli", SESSION: purpose},
            **({"ownerReferences": [owner]} if owned else {}),
        },
        "spec": spec | (_placement(snapshot, profile) if infer else {}),
    }


def _scratch(profile: Profile, *, infer: bool) -> dict[str, Any]:
    wanted = profile.pods.evaluate.scratch
    if not infer or not wanted.storage_class_name:
        return {"emptyDir": {"sizeLimit": wanted.size} if infer and wanted.size != "0" else {}}
    size = "20Gi" if wanted.size == "0" else wanted.size
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": wanted.storage_class_name, "resources": {"requests": {"storage": size}}}
    return {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}


def _infer_resources(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Evaluate's: it loads the same model. On `cuda` one GPU, unless its resources say otherwise."""
    wanted = snapshot.spec.stages.evaluate.resources
    limits = dict(wanted.limits)
    if snapshot.spec.training.device == "cuda":
        limits.setdefault(_GPU, "1")
    if limits.get(_GPU) == "0":
        del limits[_GPU]
    found = {"requests": dict(wanted.requests), "limits": limits}
    return {name: amounts for name, amounts in found.items() if amounts}


def _placement(snapshot: Snapshot, profile: Profile) -> dict[str, Any]:
    stage, own = snapshot.spec.stages.evaluate, profile.pods.evaluate
    found = {
        "nodeSelector": dict(stage.node_selector),
        "tolerations": [one.model_dump(mode="json", by_alias=True, exclude_defaults=True) for one in stage.tolerations],
        "priorityClassName": stage.priority_class_name,
        "runtimeClassName": own.runtime_class_name,
        "affinity": own.affinity,
    }
    return {name: value for name, value in found.items() if value}
