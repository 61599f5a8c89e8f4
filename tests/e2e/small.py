"""A request that runs through all stages in little time on a CPU: few rows, two layers, two steps.

Its model need not get better.
"""

from typing import Any

from e2e.base import TWO_LAYERS

TASK = "Read a customer's support message and answer with one line of JSON: category, priority, product."


def small(**changes: Any) -> dict[str, Any]:
    """The spec, with parts laid over: `small(training={"device": "cuda"})`."""
    spec: dict[str, Any] = {
        "task": TASK,
        "data": {"examples": 12},
        "model": {"base": TWO_LAYERS},
        "training": {
            "maxSteps": 2,
            "loraR": 4,
            "saveSteps": 1,
            "perDeviceTrainBatchSize": 1,
            "gradientCheckpointing": False,
            "evalSteps": 0,
        },
        "evaluation": {"answers": 1, "maxNewTokens": 4},
    }
    for name, part in changes.items():
        spec[name] = (
            {**spec[name], **part} if isinstance(part, dict) and isinstance(spec.get(name), dict) else part
        )
    return spec
