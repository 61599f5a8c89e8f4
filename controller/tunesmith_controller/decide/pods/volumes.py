"""What a stage's pod mounts.

Its root file system is read-only: it writes to the scratch volume, /tmp and, once, its result.
"""

from typing import Any

from tunesmith import podspec
from tunesmith.podspec import SCRATCH, TMP
from tunesmith.profile import Pod, Profile
from tunesmith.stages import STAGES
from tunesmith.wire import SNAPSHOT_FILE, TEACHER_RATE
from tunesmith_controller.decide.model import SnapshotMap
from tunesmith_controller.decide.pods.resources import USAGE, scratch_size

REQUEST = "request"
SNAPSHOT_PATH = f"/etc/tunesmith/{SNAPSHOT_FILE}"
POD = "/etc/tunesmith-pod"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a volume of the pod's own
RATE_FILE = "teacher-requests-per-minute"
_TMP_SIZE = "1Gi"
# NCCL's, between the processes of one pod: the 64 MiB of the runtime are too little for several GPUs.
_SHARED_MEMORY_SIZE = "1Gi"


def mounts(stage: str, profile: Profile) -> list[dict[str, Any]]:
    """Volume mounts of the container."""
    mounts: list[dict[str, Any]] = [
        {"name": REQUEST, "mountPath": "/etc/tunesmith", "readOnly": True},
        {"name": "scratch", "mountPath": SCRATCH},
        {"name": "tmp", "mountPath": TMP},
    ]
    if USAGE[stage].one_process_per_gpu:
        mounts.append({"name": "shm", "mountPath": SHARED_MEMORY})
    if STAGES[stage].asks_teacher:
        mounts.append({"name": "pod", "mountPath": POD, "readOnly": True})
    return mounts + [mount for _, mount in _shared(stage, profile)]


def volumes(stage: str, snapshot: SnapshotMap, base_bytes: int) -> list[dict[str, Any]]:
    """Volumes of the pod, in the order of `mounts`."""
    profile = snapshot.frozen.profile
    pod: Pod = getattr(profile.pods, stage)
    size = scratch_size(stage, pod.scratch, base_bytes, cached=bool(profile.cache_claim))
    files = [{"key": SNAPSHOT_FILE, "path": SNAPSHOT_FILE}]
    volumes: list[dict[str, Any]] = [
        {"name": REQUEST, "configMap": {"name": snapshot.name, "items": files}},
        podspec.scratch(size, pod.scratch.storage_class_name),
        {"name": "tmp", "emptyDir": {"sizeLimit": _TMP_SIZE}},
    ]
    if USAGE[stage].one_process_per_gpu:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _SHARED_MEMORY_SIZE}})
    if STAGES[stage].asks_teacher:
        rate = {"path": RATE_FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{TEACHER_RATE}']"}}
        volumes.append({"name": "pod", "downwardAPI": {"items": [rate]}})
    return volumes + [volume for volume, _ in _shared(stage, profile)]


def _shared(stage: str, profile: Profile) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return (podspec.cache(profile) if "hub" in STAGES[stage].secrets else []) + podspec.certificates(profile)
