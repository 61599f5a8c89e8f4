"""The output head on a CPU: only where there is loss.

trl projects the hidden states of all positions through the vocabulary, except on GPUs, where it leaves out those that carry no loss.
On a CPU that is a third of a step for a small model with a large vocabulary. The losses are the same numbers either way (a test says
so); trl's switch has no public name, hence the check that it is still there.
"""

import torch


def skip_positions_without_loss() -> bool:
    """Make trl's fused head score supervised positions only, on a CPU too. False if this trl has no such switch."""
    from trl.trainer import utils

    if not hasattr(utils, "_use_triton"):
        return False

    def compact(device: torch.device) -> bool:
        return device.type in {"cuda", "xpu", "cpu"}

    setattr(utils, "_use_triton", compact)  # noqa: B010 the name is private; a plain assignment hides that
    return True
