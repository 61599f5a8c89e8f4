"""What a stage's container asks for. The request's and the profile's own wishes stand; what they leave open is filled in."""

import math
from collections.abc import Mapping
from typing import Any

from tunesmith import podspec
from tunesmith.podspec import quantity
from tunesmith.profile import Scratch
from tunesmith.request import StageSettings

GIB = 1 << 30
MIB = 1 << 20

# Processor time that a stage uses when nothing else limits it. generate and deliver wait for others most of the time.
_CPU: Mapping[str, str] = {"generate": "250m", "train": "1", "merge": "1", "evaluate": "1", "deliver": "100m"}

# Memory beside the base model's weights. Peaks seen (benchmarks/): generate 76 MiB for 200 rows; merge 68 MiB for a model of 13.5 GB, as it
# streams; on a CPU, with a model whose weights take 513 MiB there, evaluate 1,562 MiB and train 2,001 MiB.
_MEMORY: Mapping[str, int] = {
    "generate": 512 * MIB,
    "train": 3 * GIB // 2,
    "merge": 256 * MIB,
    "evaluate": 5 * GIB // 4,
    "deliver": 256 * MIB,
}
_LOADS_BASE = ("train", "evaluate")
_ON_CPU = 2  # weights of 16 bits are read as float32 there

# Copies of the base model on the scratch volume: what train, merge and evaluate read; evaluate the merged one too.
_COPIES: Mapping[str, int] = {"generate": 0, "train": 1, "merge": 1, "evaluate": 2, "deliver": 0}
SCRATCH_LEAST = 10 * GIB  # built-in size of the volume, as the profile's documentation says
SCRATCH_BESIDE = 2 * GIB  # for checkpoints, caches and the dataset
_SPARE = (11, 10)
_LOGS = 256 * MIB  # of the container, kept by the kubelet


def container(
    stage: str,
    settings: StageSettings,
    device: str,
    scratch: Scratch,
    base_bytes: int,
    *,
    cached: bool = False,
) -> dict[str, Any]:
    """Requests and limits. `device`: training.device; `base_bytes`: size of the base model, 0 if not known; `cached`: it lies elsewhere."""
    requests, limits = podspec.amounts(settings.resources, gpu=device == "cuda" and stage in _LOADS_BASE)
    usual = {
        "cpu": _CPU[stage],
        "memory": _binary(_memory(stage, device, base_bytes)),
        "ephemeral-storage": _binary(_node_storage(stage, scratch, base_bytes, cached=cached)),
    }
    # Where there is a limit only, Kubernetes takes the request from it.
    requests = {name: value for name, value in usual.items() if name not in limits} | requests
    return {"requests": requests, "limits": limits} if limits else {"requests": requests}


def scratch_size(stage: str, scratch: Scratch, base_bytes: int, *, cached: bool = False) -> str:
    """Size of the scratch volume: the profile's, else by the base model, 10Gi at least."""
    if quantity(scratch.size) > 0:
        return scratch.size
    return _binary(max(SCRATCH_LEAST, _needed(stage, base_bytes, cached=cached)))


def processes(stage: str, asked: Mapping[str, Any], device: str) -> int:
    """Processes that train starts: one for each whole GPU."""
    if stage != "train" or device == "cpu":
        return 1
    return max(1, int(quantity((asked.get("limits") or {}).get(podspec.GPU, "1"))))


def threads(asked: Mapping[str, Any], processes: int) -> int:
    """Threads that one process may use, by the container's limit; 0: no limit is set, so the node's own number."""
    limit = (asked.get("limits") or {}).get("cpu")
    return max(1, math.ceil(quantity(limit) / processes)) if limit else 0


def gpus_of(asked: Mapping[str, Any]) -> int:
    """GPUs among a container's resources."""
    limits, requests = asked.get("limits") or {}, asked.get("requests") or {}
    return sum(
        int(quantity(str(value))) for name, value in {**requests, **limits}.items() if podspec.is_gpu(name)
    )


def _memory(stage: str, device: str, base_bytes: int) -> int:
    if stage not in _LOADS_BASE:
        return _MEMORY[stage]
    return _MEMORY[stage] + base_bytes * (_ON_CPU if device == "cpu" else 1)


def _needed(stage: str, base_bytes: int, *, cached: bool) -> int:
    copies = _COPIES[stage] - (1 if cached and _COPIES[stage] else 0)
    return copies * base_bytes * _SPARE[0] // _SPARE[1] + SCRATCH_BESIDE


def _node_storage(stage: str, scratch: Scratch, base_bytes: int, *, cached: bool) -> int:
    """What the pod takes of its node's disk. A volume's size is the most it may hold; this is what it is expected to."""
    if scratch.storage_class_name:
        return _LOGS
    if quantity(scratch.size) > 0:
        return math.ceil(quantity(scratch.size)) + _LOGS
    return _needed(stage, base_bytes, cached=cached) + _LOGS


def _binary(count: int) -> str:
    """Bytes as a quantity, rounded up to MiB, or to GiB where it is a whole number of them."""
    mebibytes = -(-count // MIB)
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"
