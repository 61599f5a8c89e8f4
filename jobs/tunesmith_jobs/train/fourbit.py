"""4-bit layers on a CPU: the NF4 values, unpacked once.

bitsandbytes unpacks a layer's weights in every forward and backward pass. On a CPU that costs time and saves nothing that a machine
with enough memory lacks; and its layers repack themselves for AVX-512 the first time they are asked without gradients, after which
they multiply otherwise than before. So each 4-bit layer gives its values, dequantised by bitsandbytes, to a plain linear layer that
computes the same: bitwise the same output and gradient, whatever was asked in between. On a GPU the layers stay as they are.
"""

from typing import Any

import torch
from torch import nn


class Unpacked(nn.Linear):
    """A frozen linear layer whose weights are the values of a 4-bit layer, multiplied in their own type as bitsandbytes does."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__(weight.shape[1], weight.shape[0], bias=False, device="meta")
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)  # type: ignore[assignment]  # torch's own idiom

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 the name in torch's signature
        """Shape (…, in) -> (…, out), in the type of `input`."""
        kind = self.weight.dtype
        bias = None if self.bias is None else self.bias.to(kind)
        return nn.functional.linear(input.to(kind), self.weight, bias).to(input.dtype)


def unpacked_bytes(model: nn.Module) -> int:
    """Bytes that the weights of all 4-bit layers take up once unpacked."""
    import bitsandbytes

    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    return sum(
        layer.in_features * layer.out_features * (layer.compute_dtype or torch.float32).itemsize
        for layer in layers
    )


def unpack(model: nn.Module) -> None:
    """Replace all 4-bit layers by Unpacked ones. Only weights on a CPU, before an adapter is added."""
    import bitsandbytes

    for name, module in list(model.named_modules()):
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, _unpacked(module))


def _unpacked(layer: Any) -> Unpacked:
    from bitsandbytes.functional import dequantize_4bit

    kind = layer.compute_dtype or torch.float32
    weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state).to(kind)
    return Unpacked(weight, None if layer.bias is None else layer.bias.data)


def keep_packed(model: nn.Module) -> None:
    """Where memory does not allow unpacking: no repacking either, so that training computes the same before and after an evaluation."""
    import bitsandbytes

    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False
