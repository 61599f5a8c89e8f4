"""The state of the libraries around training: quiet, and repeatable where the request asks for it."""

import logging
import warnings

import torch

from tunesmith.settings import Training
from tunesmith_jobs.device import Device


def quiet() -> None:
    """Switch off the libraries' own progress bars and notices: the stage itself says what matters."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    # It offers kernels from the hub, which would be remote code.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # They are for authors of libraries, and the versions here are pinned.
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*[Pp]aged optimizers are not supported on CPU.*")


def repeatable(settings: Training, device: Device) -> None:
    """Use deterministic kernels on a GPU, if `deterministic` asks for them. A CPU's always are."""
    if settings.deterministic and device.kind == "cuda":
        # An operation that has no such kernel is named on standard error.
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        torch.backends.cudnn.benchmark = False
