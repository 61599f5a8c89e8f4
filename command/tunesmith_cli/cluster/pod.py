"""The short-lived pod through which a command line without credentials of its own reads a run's data. Pure.

It conforms to Pod Security `restricted`, has no API token, listens on its own loopback only, answers one
session, and ends by itself: when nobody asks for five minutes, and at its deadline in any case.
"""

from typing import Any, Literal

import tunesmith
from tunesmith import children, podspec, wire
from tunesmith.profile import Profile
from tunesmith.wire import API_VERSION, KIND
from tunesmith_cli.cluster.run_data import RunData

Purpose = Literal["data", "infer"]
CONTAINER = "session"
PORT = 8080
_DEADLINE_SECONDS = 6 * 3600
_SCRATCH_SIZE = "50Gi"  # a ceiling, not a reservation
_DATA_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}


def pod(name: str, purpose: Purpose, data: RunData, digest: str, *, owned: bool) -> dict[str, Any]:
    """The pod. `digest`: sha256 of the session's token; `owned`: it goes when the request goes."""
    profile = data.profile
    infer = purpose == "infer"
    resources = _infer_resources(data) if infer else _DATA_RESOURCES
    volumes = [*_own_volumes(profile, infer=infer), *podspec.cache(profile), *podspec.certificates(profile)]
    container = {
        "name": CONTAINER,
        "image": profile.images.train if infer else profile.images.generate,
        "imagePullPolicy": profile.images.pull_policy,
        "command": _command(data.store),
        "env": podspec.env(_variables(data, digest, infer=infer)),
        "resources": resources,
        "volumeMounts": [mount for _, mount in volumes],
        "securityContext": podspec.confined(),
    }
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": _DEADLINE_SECONDS,
        "terminationGracePeriodSeconds": 5,
        **podspec.identity(profile),
        "containers": [container],
        "volumes": [volume for volume, _ in volumes],
    }
    settings = profile.pods.evaluate if infer else profile.pods.generate  # whose image it runs
    if infer:
        spec |= podspec.placement(data.snapshot.spec.stages.evaluate, settings)
    if "claims" in resources:
        spec |= podspec.claim(settings)
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": data.namespace,
        # What the controller makes is managed by `tunesmith`; this pod is not the controller's.
        "labels": podspec.labels(settings)
        | children.labels(data.name, "session", tunesmith.__version__)
        | {wire.MANAGED_BY: "tunesmith-cli", wire.SESSION: purpose},
        "annotations": podspec.annotations(settings),
    }
    if owned:
        owner = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": data.name,
            "uid": data.request["metadata"]["uid"],
        }
        metadata["ownerReferences"] = [owner]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _command(store: str) -> list[str]:
    server = ["python", "-m", "tunesmith_jobs.serve"]
    return [*server, "--store", store, "--work", podspec.SCRATCH, "--port", str(PORT)]


def _variables(data: RunData, digest: str, *, infer: bool) -> podspec.Values:
    """The variables of the container, the later ones winning."""
    values = podspec.folders(data.profile) | podspec.clients(data.profile) | data.profile.env
    values |= podspec.process() | podspec.store(data.profile.store)
    if infer:
        values |= podspec.hub(data.snapshot, data.profile)
    return values | {wire.SESSION_DIGEST: digest}


def _own_volumes(profile: Profile, *, infer: bool) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Scratch, as large as evaluate's for a model, and /tmp."""
    wanted = profile.pods.evaluate.scratch
    size = "1Gi"
    if infer:
        size = _SCRATCH_SIZE if wanted.size == "0" else wanted.size
    scratch = podspec.scratch(size, wanted.storage_class_name if infer else "")
    return [
        (scratch, {"name": "scratch", "mountPath": podspec.SCRATCH}),
        ({"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "tmp", "mountPath": podspec.TMP}),
    ]


def _infer_resources(data: RunData) -> dict[str, Any]:
    """Evaluate's resources, as it loads the same model; on `cuda` one GPU, unless they say otherwise."""
    spec, profile = data.snapshot.spec, data.profile
    wanted, gpu = spec.stages.evaluate.resources, spec.training.device == "cuda"
    by_claim = podspec.claims_gpu(wanted, profile.pods.evaluate, gpu=gpu)
    requests, limits = podspec.amounts(wanted, gpu=profile.gpu_resource if gpu and not by_claim else "")
    amounts = {name: values for name, values in (("requests", requests), ("limits", limits)) if values}
    return podspec.with_claim(amounts) if by_claim else amounts
