"""What a stage's container asks for: what the request and the profile set, or else built-in values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith import podspec
from tunesmith.profile import Pod, Scratch
from tunesmith.quantities import quantity
from tunesmith.request import StageSettings
from tunesmith_controller.decide.model import SnapshotMap

GIB = 1 << 30
MIB = 1 << 20


@dataclass(frozen=True)
class Usage:
    """What a stage uses when neither the request nor the profile says otherwise.

    `cpu`: processor time when nothing else limits it; generate and deliver mostly wait for others. `memory`:
    bytes in addition to the base model's weights. `loads_base`: whether it holds the base model's weights in
    memory, on the GPU where there is one. `copies`: of the base model on the scratch volume; evaluate reads
    the base model and the merged one. `one_process_per_gpu`: whether it starts a process for each whole GPU,
    which exchange data through shared memory.
    """

    cpu: str
    memory: int
    loads_base: bool = False
    copies: int = 0
    one_process_per_gpu: bool = False


# Peaks of memory that were measured (benchmarks/): generate 76 MiB for 200 rows; merge 68 MiB for a model of
# 13.5 GB, as it streams; on a CPU, with a model whose weights take 513 MiB there, evaluate 1,562 MiB and
# train 2,001 MiB.
USAGE: Mapping[str, Usage] = {
    "generate": Usage(cpu="250m", memory=512 * MIB),
    "train": Usage(cpu="1", memory=3 * GIB // 2, loads_base=True, copies=1, one_process_per_gpu=True),
    "merge": Usage(cpu="1", memory=256 * MIB, copies=1),
    "evaluate": Usage(cpu="1", memory=5 * GIB // 4, loads_base=True, copies=2),
    "deliver": Usage(cpu="100m", memory=256 * MIB),
}
_ON_CPU = 2  # weights of 16 bits are read as float32 there

SCRATCH_LEAST = 10 * GIB  # built-in size of the volume, as the profile's documentation says
SCRATCH_EXTRA = 2 * GIB  # in addition to the models, for checkpoints, caches and the dataset
_SPARE = (11, 10)
_LOGS = 256 * MIB  # of the container, kept by the kubelet


def container(stage: str, snapshot: SnapshotMap, base_bytes: int) -> dict[str, Any]:
    """Requests and limits, and the claim through which the pod gets its GPU, if that is how it gets one.

    `base_bytes`: size of the base model, 0 if not known.
    """
    spec, profile = snapshot.snapshot.spec, snapshot.frozen.profile
    settings: StageSettings = getattr(spec.stages, stage)
    pod: Pod = getattr(profile.pods, stage)
    device, usage = spec.training.device, USAGE[stage]
    gpu = device == "cuda" and usage.loads_base
    by_claim = podspec.claims_gpu(settings.resources, pod, gpu=gpu)
    kind = profile.gpu_resource if gpu and not by_claim else ""
    requests, limits = podspec.amounts(settings.resources, gpu=kind)
    storage = _node_storage(stage, pod.scratch, base_bytes, cached=bool(profile.cache_claim))
    usual = {
        "cpu": usage.cpu,
        "memory": _binary(_memory(stage, device, base_bytes)),
        "ephemeral-storage": _binary(storage),
    }
    # Where there is a limit only, Kubernetes takes the request from it.
    requests = {name: value for name, value in usual.items() if name not in limits} | requests
    asked = {"requests": requests, "limits": limits} if limits else {"requests": requests}
    return podspec.with_claim(asked) if by_claim else asked


def scratch_size(stage: str, scratch: Scratch, base_bytes: int, *, cached: bool = False) -> str:
    """Size of the scratch volume: the profile's, or else by the base model, at least 10Gi."""
    if quantity(scratch.size) > 0:
        return scratch.size
    return _binary(max(SCRATCH_LEAST, _needed(stage, base_bytes, cached=cached)))


def processes(stage: str, asked: Mapping[str, Any], device: str, claimed: int) -> int:
    """Processes that a stage starts. `claimed`: whole GPUs that a claim gives.

    Slices and shares of a GPU count as one: a process sees only one slice, and shares may be of the same GPU.
    """
    if device == "cpu" or not USAGE[stage].one_process_per_gpu:
        return 1
    if "claims" in asked:
        return claimed
    limits: Mapping[str, str] = asked.get("limits") or {}
    return max(1, sum(int(quantity(value)) for name, value in limits.items() if podspec.is_whole_gpu(name)))


def threads(asked: Mapping[str, Any], processes: int) -> int:
    """Threads that one process may use, by the container's limit; 0 without one, for the node's number."""
    limit = (asked.get("limits") or {}).get("cpu")
    return max(1, math.ceil(quantity(limit) / processes)) if limit else 0


def gpus_of(asked: Mapping[str, Any]) -> int:
    """GPUs among a container's resources; each of its claims counts as one."""
    amounts = {**(asked.get("requests") or {}), **(asked.get("limits") or {})}
    named = sum(int(quantity(str(value))) for name, value in amounts.items() if podspec.is_gpu(name))
    return named + len(asked.get("claims") or ())


def _memory(stage: str, device: str, base_bytes: int) -> int:
    usage = USAGE[stage]
    if not usage.loads_base:
        return usage.memory
    return usage.memory + base_bytes * (_ON_CPU if device == "cpu" else 1)


def _needed(stage: str, base_bytes: int, *, cached: bool) -> int:
    copies = USAGE[stage].copies
    if cached:
        copies = max(0, copies - 1)
    return copies * base_bytes * _SPARE[0] // _SPARE[1] + SCRATCH_EXTRA


def _node_storage(stage: str, scratch: Scratch, base_bytes: int, *, cached: bool) -> int:
    """What the pod is expected to use of its node's disk; a volume's size is the most that it may hold."""
    if scratch.storage_class_name:
        return _LOGS
    if quantity(scratch.size) > 0:
        return math.ceil(quantity(scratch.size)) + _LOGS
    return _needed(stage, base_bytes, cached=cached) + _LOGS


def _binary(count: int) -> str:
    """Bytes as a quantity, rounded up to MiB, or to GiB where it is a whole number of them."""
    mebibytes = -(-count // MIB)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
