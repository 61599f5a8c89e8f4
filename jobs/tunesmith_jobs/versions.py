"""Versions of what may change a result."""

import contextlib
import importlib.metadata
import platform

import tunesmith

_LIBRARIES = (
    "openai",
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "accelerate",
    "safetensors",
    "boto3",
)


def versions() -> dict[str, str]:
    """Versions of Tunesmith, Python, and those libraries that are installed."""
    numbers = {"tunesmith": tunesmith.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            numbers[name] = importlib.metadata.version(name)
    return numbers
