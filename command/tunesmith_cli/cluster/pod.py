"""The short-lived pod through which a command line without credentials of its own reads a run's data. Pure.

It is conform with Pod Security `restricted`, has no API token, listens on its own loopback only, answers one session, and ends by
itself: when nobody asks for five minutes, and at its deadline in any case.
"""

from collections.abc import Mapping
from typing import Any, Literal

import tunesmith
from tunesmith import children, podspec, wire
from tunesmith.profile import Profile
from tunesmith.resolve import Snapshot
from tunesmith.wire import API_VERSION, KIND

Purpose = Literal["data", "infer"]
CONTAINER = "session"
PORT = 8080
_DEADLINE_SECONDS = 6 * 3600
_SCRATCH_SIZE = "50Gi"  # a ceiling, not a reservation
_DATA_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}


def pod(
    name: str,
    purpose: Purpose,
    request: Mapping[str, Any],
    snapshot: Snapshot,
    profile: Profile,
    store: str,
    digest: str,
    *,
    owned: bool,
) -> dict[str, Any]:
    """The pod. `digest`: sha256 of the session's token; `owned`: goes with the request (not where the request is about to go)."""
    metadata = request["metadata"]
    infer = purpose == "infer"
    volumes = [*_own_volumes(profile, infer=infer), *podspec.cache(profile), *podspec.certificates(profile)]
    values = (
        podspec.folders(profile)
        | podspec.clients(profile)
        | profile.env
        | podspec.process()
        | podspec.store(profile.store)
    )
    owner = {"apiVersion": API_VERSION, "kind": KIND, "name": metadata["name"], "uid": metadata["uid"]}
    container = {
        "name": CONTAINER,
        "image": profile.images.train if infer else profile.images.generate,
        "imagePullPolicy": profile.images.pull_policy,
        "command": [
            "python",
            "-m",
            "tunesmith_jobs.serve",
            "--store",
            store,
            "--work",
            podspec.SCRATCH,
            "--port",
            str(PORT),
        ],
        "env": podspec.env(
            values | (podspec.hub(snapshot, profile) if infer else {}) | {wire.SESSION_DIGEST: digest}
        ),
        "resources": _infer_resources(snapshot) if infer else _DATA_RESOURCES,
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
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            # Not the controller's: what it makes is managed by `tunesmith`, and this is none of its pods.
            "labels": children.labels(metadata["name"], "session", tunesmith.__version__)
            | {wire.MANAGED_BY: "tunesmith-cli", wire.SESSION: purpose},
            **({"ownerReferences": [owner]} if owned else {}),
        },
        "spec": spec
        | (podspec.placement(snapshot.spec.stages.evaluate, profile.pods.evaluate) if infer else {}),
    }


def _own_volumes(profile: Profile, *, infer: bool) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Scratch, as large as evaluate's for a model, and /tmp."""
    wanted = profile.pods.evaluate.scratch
    size = (_SCRATCH_SIZE if wanted.size == "0" else wanted.size) if infer else "1Gi"
    scratch = podspec.scratch(size, wanted.storage_class_name if infer else "")
    return [
        (scratch, {"name": "scratch", "mountPath": podspec.SCRATCH}),
        ({"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "tmp", "mountPath": podspec.TMP}),
    ]


def _infer_resources(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Evaluate's: it loads the same model. On `cuda` one GPU, unless its resources say otherwise."""
    wanted = snapshot.spec.stages.evaluate.resources
    requests, limits = podspec.amounts(wanted, gpu=snapshot.spec.training.device == "cuda")
    return {name: found for name, found in (("requests", requests), ("limits", limits)) if found}
