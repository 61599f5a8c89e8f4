"""The device that training and evaluation run on, and whether the settings can work there."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from tunesmith.errors import BadRequest, Problem, TryAgain
from tunesmith.settings import Training

_MEMINFO = Path("/proc/meminfo")
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_USED = Path("/sys/fs/cgroup/memory.current")
_DRIVER_VERSION = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Device:
    """A GPU or the CPU.

    `memory`: bytes in all; on a CPU, those that are free now.
    `supports_bf16`: whether it multiplies bfloat16 in hardware.
    """

    kind: Literal["cuda", "cpu"]
    name: str
    memory: int
    supports_bf16: bool

    def peak_memory(self) -> int:
        """Most bytes that tensors took up so far on a GPU; on a CPU the process's largest resident size."""
        if self.kind == "cuda":
            return int(torch.cuda.max_memory_allocated())
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux


def find_device(setting: str) -> Device:
    """The device for `auto`, `cuda` or `cpu`.

    Raises TryAgain (NoGPU) with the driver's facts if `cuda` has none.
    """
    if setting != "cpu" and torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(torch.cuda.current_device())
        supports_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return Device("cuda", gpu.name, gpu.total_memory, supports_bf16)
    if setting == "cuda":
        raise TryAgain(
            "training.device is cuda, and no GPU is visible",
            reason="NoGPU",
            problems=[Problem("", fact) for fact in _driver_facts()],
            remedy="run where a GPU is free (on Kubernetes: with a limit of nvidia.com/gpu), "
            "or set training.device to cpu",
        )
    return Device("cpu", "CPU", free_memory(), supports_bf16=False)


def _driver_facts() -> Iterator[str]:
    built_for = torch.version.cuda
    if built_for:
        yield f"torch {torch.__version__} is built for CUDA {built_for}"
    else:
        yield f"torch {torch.__version__} is built without CUDA"
    if _DRIVER_VERSION.exists():
        yield _DRIVER_VERSION.read_text().splitlines()[0]
    else:
        yield f"no NVIDIA driver is loaded ({_DRIVER_VERSION} is missing)"
    device_files = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    yield f"device files: {', '.join(device_files) or 'none'}"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        yield f"CUDA_VISIBLE_DEVICES is {visible!r}"


def free_memory() -> int:
    """Bytes that this process may still take: what is free on the system, or within the container's limit."""
    free = 2**63
    if _MEMINFO.exists():
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    if _LIMIT.exists() and _USED.exists():
        limit = _LIMIT.read_text().strip()
        if limit != "max":
            free = min(free, int(limit) - int(_USED.read_text()))
    return free


def setting_problems(settings: Training, device: Device) -> list[Problem]:
    """The settings that cannot work on this device."""
    problems: list[Problem] = []
    if settings.fp16 and device.kind == "cpu":
        problems.append(
            Problem(
                "spec.training.fp16",
                "a CPU has no float16 training",
                value=True,
                remedy="set bf16, or neither",
            )
        )
    if settings.bf16 and device.kind == "cuda" and not device.supports_bf16:
        problems.append(
            Problem(
                "spec.training.bf16",
                f"{device.name} has no bfloat16",
                value=True,
                remedy="set fp16, or neither",
            )
        )
    if settings.attn_implementation == "flash_attention_2" and device.kind == "cpu":
        problems.append(
            Problem(
                "spec.training.attnImplementation",
                "needs a GPU",
                settings.attn_implementation,
                "leave it out; sdpa runs anywhere",
            )
        )
    return problems


def check_settings(settings: Training, device: Device) -> None:
    """Raise BadRequest with everything that cannot work here."""
    problems = setting_problems(settings, device)
    if problems:
        raise BadRequest(
            f"these settings cannot work on {device.name}",
            reason="SettingsNeedOtherDevice",
            problems=problems,
        )


def out_of_memory(device: Device, error: BaseException) -> BadRequest:
    """A GPU's out-of-memory error while training, as the user is told of it."""
    return BadRequest(
        f"{device.name} ran out of memory ({device.memory / 2**30:.1f} GiB): {str(error).splitlines()[0]}",
        reason="OutOfMemory",
        remedy="lower perDeviceTrainBatchSize and raise gradientAccumulationSteps by the same factor, "
        "set gradientCheckpointing, lower maxLength, set loadIn4bit and a paged optimizer, "
        "or take a larger GPU; the checkpoints so far are kept",
    )


@contextmanager
def named_out_of_memory(device: Device) -> Iterator[None]:
    """A block of training that turns a GPU's out-of-memory error into one that says what to do."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise out_of_memory(device, error) from error
