"""What training reports about itself."""

import math
from typing import Any

from tunesmith.manifest import Pin
from tunesmith_jobs.train import adapter
from tunesmith_jobs.train.splits import Splits


def metrics(
    done: dict[str, Any], before: float, after: float, trainer: Any, splits: Splits
) -> dict[str, float]:
    """Numbers for the manifest; those that are none are left out. `done`: the trainer's state."""
    log = [entry for entry in done["log_history"] if "loss" in entry]
    found = {
        "steps": float(done["global_step"]),
        "rows": float(len(splits.train)),
        "tokens": float(log[-1].get("num_input_tokens_seen", 0)) if log else 0.0,
        "loss": float(log[-1]["loss"]) if log else math.nan,
        "testLossBefore": before,
        "testLossAfter": after,
        "trainableParameters": float(
            sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad)
        ),
        "truncated": float(splits.statistics["train"]["truncated"]),
        "masked": float(splits.statistics["train"]["masked"]),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def settings_read_back(trainer: Any) -> dict[str, Any]:
    """What the built trainer, adapter and model say their settings are: for the report, and for tests that each one took effect."""
    args, config = trainer.args, trainer.model.peft_config["default"]
    quantization = getattr(trainer.model.config, "quantization_config", None)
    plain = {
        name: value
        for name, value in args.to_dict().items()
        if isinstance(value, str | int | float | bool | None)
    }
    return {
        "trainer": {
            name: value for name, value in sorted(plain.items()) if not name.endswith(("_dir", "_token"))
        },
        "optimizer": type(getattr(trainer.optimizer, "optimizer", trainer.optimizer)).__name__,
        "adapter": {
            name: sorted(value) if isinstance(value, set | list) else value
            for name, value in adapter.clean_config(config.to_dict(), Pin(uri="", revision="")).items()
            if isinstance(value, str | int | float | bool | set | list)
        },
        "quantization": _plain(quantization.to_dict()) if quantization is not None else None,
        "adapterDtype": sorted(
            {str(value.dtype) for value in trainer.model.parameters() if value.requires_grad}
        ),
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in sorted(values.items()) if isinstance(value, str | int | float | bool)
    }
