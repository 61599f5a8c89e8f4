"""The Job of a stage, from the snapshot and its profile.

One builder for all stages: what a pod runs is here; environment, volumes, resources and failures have modules
of their own. What the profile or the request adds comes first and what the stage relies on comes last, so
that it cannot be overridden.
"""

import hashlib
import json
from typing import Any

from tunesmith import children, podspec, wire
from tunesmith.profile import Pod
from tunesmith.request import StageSettings
from tunesmith.stages import FIELDS_READ, STAGES
from tunesmith.wire import API_VERSION, KIND
from tunesmith_controller.decide.model import Object, SnapshotMap
from tunesmith_controller.decide.objects import annotation
from tunesmith_controller.decide.pods import environment, failures, resources, volumes

__all__ = ["build_job", "gpus", "template_hash"]

KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"  # label of a Job


def build_job(
    request: Object,
    stage: str,
    attempt: int,
    snapshot: SnapshotMap,
    *,
    teacher_rate: int = 0,
    base_bytes: int = 0,
    version: str,
) -> dict[str, Any]:
    """The Job of an attempt.

    `base_bytes`: size of the base model, once it is known; the scratch volume is sized by it.

    `teacher_rate`: requests a minute that a stage may send to the teacher, in addition to the request's own
    limit; 0: unlimited.
    """
    meta = request["metadata"]
    settings: StageSettings = getattr(snapshot.snapshot.spec.stages, stage)
    profile = snapshot.frozen.profile
    pod: Pod = getattr(profile.pods, stage)
    key = snapshot.snapshot.key(stage)
    labels = _labels(meta["name"], stage, key, attempt, profile.name, version)
    rate = {wire.TEACHER_RATE: str(teacher_rate)} if STAGES[stage].asks_teacher else {}
    template = {
        "metadata": {
            "labels": {**podspec.labels(pod), **labels},
            "annotations": {**podspec.annotations(pod), **rate},
        },
        "spec": _pod(meta["namespace"], stage, attempt, snapshot, base_bytes),
    }
    # What another release adds to every pod does not make a running Job outdated.
    own = {"labels": {**pod.labels, **labels}, "annotations": dict(pod.annotations)}
    queue = snapshot.snapshot.spec.queue_name
    keep = profile.job_ttl_seconds
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": children.job_name(meta["name"], meta["uid"], stage, key, attempt),
            "namespace": meta["namespace"],
            "labels": {**pod.job_labels, **labels, **({KUEUE_QUEUE: queue} if queue else {})},
            "annotations": {
                **pod.job_annotations,
                wire.TEMPLATE: _hash(template | {"metadata": own}, snapshot),
            },
            "ownerReferences": [
                children.owner_reference({"name": meta["name"], "uid": meta["uid"]}, API_VERSION, KIND)
            ],
        },
        "spec": {
            "backoffLimit": settings.retries,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",  # one pod at a time: the old one may still be saving its state
            "podFailurePolicy": failures.policy(),
            **({"ttlSecondsAfterFinished": keep} if keep >= 0 else {}),
            "template": template,
        },
    }


def template_hash(job: Object) -> str:
    """Hash of the pod template that a Job was built with, from its annotation; empty without one.

    It tells whether an edit concerns the Job: it is the same for all attempts and teacher's rates, and after
    edits that neither the pod nor its stage would notice.
    """
    return annotation(job, wire.TEMPLATE)


def gpus(job: Object) -> int:
    """How many GPUs the Job's pod asks for, whole ones, slices and shares alike. A claim counts as one."""
    return sum(
        resources.gpus_of(container.get("resources") or {})
        for container in job["spec"]["template"]["spec"]["containers"]
    )


def _labels(request: str, stage: str, key: str, attempt: int, profile: str, version: str) -> dict[str, str]:
    return {
        **children.labels(request, stage, version),
        wire.STAGE: stage,
        wire.KEY: key,
        wire.ATTEMPT: str(attempt),
        wire.PROFILE: profile,
    }


def _pod(namespace: str, stage: str, attempt: int, snapshot: SnapshotMap, base_bytes: int) -> dict[str, Any]:
    spec, profile = snapshot.snapshot.spec, snapshot.frozen.profile
    settings: StageSettings = getattr(spec.stages, stage)
    pod: Pod = getattr(profile.pods, stage)
    asked = resources.container(stage, snapshot, base_bytes)
    processes = resources.processes(stage, asked, spec.training.device, pod.gpu_claim.gpus)
    container = {
        "name": wire.CONTAINER,
        "image": getattr(profile.images, STAGES[stage].image),
        "imagePullPolicy": profile.images.pull_policy,
        "command": _command(stage, profile.store.of(namespace), processes),
        "env": environment.variables(stage, attempt, snapshot, asked, processes),
        "resources": asked,
        "volumeMounts": volumes.mounts(stage, profile),
        "securityContext": podspec.confined(),
        # The stage writes its result there; where it crashed before it could, the end of its log says why.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return {
        **podspec.placement(settings, pod),
        **podspec.identity(profile),
        **(podspec.claim(pod) if "claims" in asked else {}),
        "restartPolicy": "Never",  # a podFailurePolicy needs it
        "terminationGracePeriodSeconds": pod.termination_grace_period_seconds,
        "containers": [container],
        "volumes": volumes.volumes(stage, snapshot, base_bytes),
    }


def _command(stage: str, store: str, processes: int) -> list[str]:
    """The stage's command line. Several processes: one for each GPU, started by the stage's own launcher."""
    launcher = [f"--processes={processes}"] if processes > 1 else []
    module = f"tunesmith_jobs.{stage}.launch" if processes > 1 else f"tunesmith_jobs.{stage}"
    return [
        "python",
        "-m",
        module,
        *launcher,
        "--request",
        volumes.SNAPSHOT_PATH,
        "--store",
        store,
        "--work",
        podspec.SCRATCH,
    ]


def _hash(template: dict[str, Any], snapshot: SnapshotMap) -> str:
    text = json.dumps(_without_what_varies(template), sort_keys=True)
    # An edit of what no stage reads needs no new pod.
    read = snapshot.snapshot.spec.model_dump_json(
        by_alias=True, include=set(FIELDS_READ), exclude={"evaluation": {"gate"}}
    )
    return hashlib.sha256(f"{text}\0{read}".encode()).hexdigest()[:16]


def _without_what_varies(template: dict[str, Any]) -> dict[str, Any]:
    """The template without what varies: attempt, teacher's rate, version, and the snapshot's name."""
    labels = template["metadata"]["labels"].items()
    annotations = template["metadata"]["annotations"].items()
    spec = template["spec"]
    (container,) = spec["containers"]
    return {
        "labels": {
            name: value for name, value in labels if name not in (wire.ATTEMPT, "app.kubernetes.io/version")
        },
        "annotations": {name: value for name, value in annotations if name != wire.TEACHER_RATE},
        "spec": spec
        | {
            "containers": [],
            "volumes": [volume for volume in spec["volumes"] if volume["name"] != volumes.REQUEST],
        },
        "container": container
        | {"env": [entry for entry in container["env"] if entry["name"] != wire.ATTEMPT_NAME]},
    }
