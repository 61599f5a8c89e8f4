"""Environment variables that libraries read once, at their first import: a process sets them before it.

This is the one place that says what is set: telemetry off, progress bars off, and how threads wait.
"""

from collections.abc import Mapping

from tunesmith.wire import TELEMETRY_OFF

_FOR_HUB = {
    **TELEMETRY_OFF,
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # standard output holds machine lines or answers
}
_FOR_TORCH = {
    **_FOR_HUB,
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
# A waiting thread goes to sleep after about 0.1 ms instead of GNU OpenMP's 10 ms and more. While it spins, it
# keeps a shared core from the very thread that it waits for. benchmarks/threads/results.md: half the time
# when two processes share the cores, much the same for one alone.
_SLEEP_SOON = {"GOMP_SPINCOUNT": "2000"}
_FOR_DETERMINISM = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # `deterministic` on a GPU needs it


def missing(environ: Mapping[str, str]) -> dict[str, str]:
    """What a process that imports torch still has to set.

    OMP_WAIT_POLICY says how threads wait, too; where it is set, it stands.
    """
    wanted = dict(_FOR_TORCH)
    if "OMP_WAIT_POLICY" not in environ:
        wanted |= _SLEEP_SOON
    return _not_in(environ, wanted)


def missing_for_determinism(environ: Mapping[str, str]) -> dict[str, str]:
    """What reproducible training on a GPU still needs; cuBLAS reads it when CUDA starts."""
    return _not_in(environ, _FOR_DETERMINISM)


def missing_for_hub(environ: Mapping[str, str]) -> dict[str, str]:
    """What a process that imports only the hub's client still has to set."""
    return _not_in(environ, _FOR_HUB)


def _not_in(environ: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if name not in environ}
