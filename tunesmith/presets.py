"""Named sets of values that a request may start from. Pure.

`original` holds the settings of GPT-LLM-Trainer's notebook, one by one.
"""

from collections.abc import Mapping
from typing import Any

DATA: Mapping[str, Mapping[str, Any]] = {
    "original": {
        "examples": 100,
        "temperature": 0.4,
        "strategy": "chain",
        "maxTokens": 1354,
        "systemMessageMaxTokens": 500,
        "feedback": 10,
        "nearDuplicates": 1.0,  # only exact duplicates were dropped
        "teacher": {"model": "gpt-4"},
        "split": {"test": 0.1, "validation": 0.0, "seed": 42},
    }
}

TRAINING: Mapping[str, Mapping[str, Any]] = {
    "original": {
        "loadIn4bit": True,
        "bnb4bitQuantType": "nf4",
        "bnb4bitComputeDtype": "float16",
        "bnb4bitUseDoubleQuant": False,
        "loraR": 64,
        "loraAlpha": 16.0,
        "loraDropout": 0.1,
        "loraBias": "none",
        # The choice of peft for Llama, since the notebook gives none.
        "loraTargetModules": ["q_proj", "v_proj"],
        "numTrainEpochs": 1.0,
        "maxSteps": -1,
        "fp16": False,
        "bf16": False,
        "perDeviceTrainBatchSize": 4,
        "perDeviceEvalBatchSize": 4,
        "gradientAccumulationSteps": 1,
        "gradientCheckpointing": True,
        "maxGradNorm": 0.3,
        "learningRate": 2e-4,
        "weightDecay": 0.001,
        "optim": "paged_adamw_32bit",
        "lrSchedulerType": "constant",  # transformers ignores warmup with it, then as now
        "warmupRatio": 0.03,
        "groupByLength": True,
        "saveSteps": 25,
        "loggingSteps": 5,
        "evalSteps": 5.0,
        "maxLength": 0,
        "packing": False,
        "padToken": "eos",
        "paddingSide": "right",
    }
}

# Follows `training.preset`.
MERGE: Mapping[str, Mapping[str, Any]] = {"original": {"dtype": "float16", "rounding": "nearest"}}
