"""Environment variables that torch and the libraries around it read once: a process sets them before it imports any."""

from collections.abc import Mapping

from tunesmith.wire import TELEMETRY_OFF

_QUIET = {
    **TELEMETRY_OFF,
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # standard output holds machine lines or answers
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
# A thread that waits sleeps after about 0.1 ms, not after GNU OpenMP's 10 ms and more: on cores that others use too it keeps the core from
# the thread that it waits for. benchmarks/threads/results.md: half the time side by side, much the same alone.
_SLEEPS_SOON = {"GOMP_SPINCOUNT": "2000"}


def missing(environ: Mapping[str, str]) -> dict[str, str]:
    """Those that are not set yet. OMP_WAIT_POLICY is another way to say how long threads wait, and then stands."""
    wanted = _QUIET if "OMP_WAIT_POLICY" in environ else _QUIET | _SLEEPS_SOON
    return {name: value for name, value in wanted.items() if name not in environ}
