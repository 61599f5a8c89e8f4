"""The output head on a CPU: computed only at the positions that carry loss.

On GPUs trl leaves out positions without loss; on a CPU it projects the hidden states of all positions to the
vocabulary, which takes a third of a step for a small model with a large vocabulary. The losses are the same
either way (tests hold that). trl's switch has no public name, hence the check that it is still there.
"""

import torch


def skip_positions_without_loss() -> bool:
    """Make trl's fused head score supervised positions only, on a CPU too.

    False if trl has lost the switch.
    """
    from trl.trainer import utils

    if not hasattr(utils, "_use_triton"):
        return False

    def compact(device: torch.device) -> bool:
        return device.type in {"cuda", "xpu", "cpu"}

    setattr(utils, "_use_triton", compact)  # noqa: B010 the name is private; a plain assignment hides that
    return True
