"""Where training runs, and whether the settings can work there."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from tunesmith.errors import BadRequest, Problem, TryAgain
from tunesmith.settings import Training


@dataclass(frozen=True)
class Device:
    """`kind` is cuda or cpu; `memory` bytes in all (on a CPU: those free now); `bf16`: whether it multiplies bfloat16 in hardware."""

    kind: str
    name: str
    memory: int
    bf16: bool

    def peak_memory(self) -> int:
        """Most bytes that tensors took up so far on a GPU; on a CPU the process's largest resident size."""
        if self.kind == "cuda":
            return int(torch.cuda.max_memory_allocated())
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux


def find_device(wish: str) -> Device:
    """The device for `auto`, `cuda` or `cpu`. Raises TryAgain (NoGPU) with the driver's facts if `cuda` has none."""
    if wish != "cpu" and torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(torch.cuda.current_device())
        return Device(
            "cuda", facts.name, facts.total_memory, torch.cuda.is_bf16_supported(including_emulation=False)
        )
    if wish == "cuda":
        raise TryAgain(
            "training.device is cuda, and no GPU is visible",
            reason="NoGPU",
            problems=[Problem("", fact) for fact in _driver_facts()],
            remedy="run where a GPU is free (on Kubernetes: limits of nvidia.com/gpu), or set training.device to cpu",
        )
    return Device("cpu", "CPU", free_memory(), bf16=False)


def _driver_facts() -> Iterator[str]:
    built = torch.version.cuda
    yield (
        f"torch {torch.__version__} is built for CUDA {built}"
        if built
        else f"torch {torch.__version__} is built without CUDA"
    )
    version = Path("/proc/driver/nvidia/version")
    yield (
        version.read_text().splitlines()[0]
        if version.exists()
        else "no NVIDIA driver is loaded (/proc/driver/nvidia/version is missing)"
    )
    found = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    yield f"device files: {', '.join(found) or 'none'}"
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        yield f"CUDA_VISIBLE_DEVICES is {visible!r}"


def free_memory() -> int:
    """Bytes that this process may still take: what the system has free, or the container's limit leaves."""
    free = 2**63
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and (text := limit.read_text().strip()) != "max":
        free = min(free, int(text) - int(used.read_text()))
    return free


def problems(settings: Training, device: Device) -> list[Problem]:
    """Settings that cannot work on this device."""
    found: list[Problem] = []
    if settings.fp16 and device.kind == "cpu":
        found.append(
            Problem(
                "spec.training.fp16",
                "a CPU has no float16 training",
                value=True,
                remedy="set bf16, or neither",
            )
        )
    if settings.bf16 and device.kind == "cuda" and not device.bf16:
        found.append(
            Problem(
                "spec.training.bf16",
                f"{device.name} has no bfloat16",
                value=True,
                remedy="set fp16, or neither",
            )
        )
    if settings.attn_implementation == "flash_attention_2" and device.kind == "cpu":
        found.append(
            Problem(
                "spec.training.attnImplementation",
                "needs a GPU",
                settings.attn_implementation,
                "leave it out; sdpa runs anywhere",
            )
        )
    return found


def check(settings: Training, device: Device) -> None:
    """Raise BadRequest with everything that cannot work here."""
    if found := problems(settings, device):
        raise BadRequest(
            f"these settings cannot work on {device.name}", reason="SettingsNeedOtherDevice", problems=found
        )


def out_of_memory(device: Device, error: BaseException) -> BadRequest:
    """What an out-of-memory error of a GPU is to the user."""
    return BadRequest(
        f"{device.name} ran out of memory ({device.memory / 2**30:.1f} GiB): {str(error).splitlines()[0]}",
        reason="OutOfMemory",
        remedy="lower perDeviceTrainBatchSize and raise gradientAccumulationSteps as much, set gradientCheckpointing, lower maxLength, "
        "set loadIn4bit and a paged optimizer, or take a larger GPU; checkpoints so far are kept",
    )
