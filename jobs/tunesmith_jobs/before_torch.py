"""Imported first by a process that will import torch: environment variables that libraries read once, each unless it is set already."""

import os

_SPINS = "2000"

for _name, _value in {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # standard output holds machine lines or answers
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # `deterministic` needs it
}.items():
    os.environ.setdefault(_name, _value)

# A thread that waits sleeps after about 0.1 ms, not after GNU OpenMP's 10 ms and more: on cores that others use too it keeps the core from
# the thread that it waits for. benchmarks/threads/results.md: a third of the time side by side, the same alone.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
