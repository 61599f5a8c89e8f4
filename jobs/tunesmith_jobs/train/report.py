"""What training reports about itself: numbers for the manifest, and the settings that took effect."""

import math
from typing import Any

from tunesmith.manifest import Pin
from tunesmith_jobs.train import adapter
from tunesmith_jobs.train.history import Course
from tunesmith_jobs.train.splits import Splits


def finite(number: float) -> float | None:
    """The number, or None for one that JSON does not have."""
    return number if math.isfinite(number) else None


def metrics(course: Course, before: float, after: float, trainer: Any, splits: Splits) -> dict[str, float]:
    """Numbers for the manifest; those that are not finite are left out.

    `before`, `after`: loss on the test split.
    """
    logged = [entry for entry in course.log if "loss" in entry]
    last = logged[-1] if logged else {}
    trained = sum(value.numel() for value in trainer.model.parameters() if value.requires_grad)
    numbers = {
        "steps": float(course.step),
        "rows": float(len({sequence.row for sequence in splits.train})),
        "tokens": float(last.get("num_input_tokens_seen", 0)),
        "loss": float(last.get("loss", math.nan)),
        "testLossBefore": before,
        "testLossAfter": after,
        "trainableParameters": float(trained),
        "truncated": float(splits.statistics["train"]["truncated"]),
        "masked": float(splits.statistics["train"]["masked"]),
    }
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def settings_read_back(trainer: Any) -> dict[str, Any]:
    """What the built trainer, adapter and model say that their settings are.

    It is for the report, and for tests that each setting took effect.
    """
    optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    quantization = getattr(trainer.model.config, "quantization_config", None)
    trained = [value for value in trainer.model.parameters() if value.requires_grad]
    return {
        "trainer": _trainer_settings(trainer.args.to_dict()),
        "optimizer": type(optimizer).__name__,
        "adapter": _adapter_settings(trainer.model.peft_config["default"].to_dict()),
        "quantization": None if quantization is None else _quantization_settings(quantization.to_dict()),
        "adapterDtype": sorted({str(value.dtype) for value in trained}),
    }


def _trainer_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Plain values, without folders and tokens."""
    return {
        name: value
        for name, value in sorted(settings.items())
        if isinstance(value, str | int | float | bool | None) and not name.endswith(("_dir", "_token"))
    }


def _adapter_settings(settings: dict[str, Any]) -> dict[str, Any]:
    cleaned = adapter.clean_config(settings, Pin(uri="", revision=""))
    return {
        name: sorted(value) if isinstance(value, set | list) else value
        for name, value in cleaned.items()
        if isinstance(value, str | int | float | bool | set | list)
    }


def _quantization_settings(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in sorted(settings.items()) if isinstance(value, str | int | float | bool)
    }
