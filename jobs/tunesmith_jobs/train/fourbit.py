"""4-bit layers on a CPU: their values, unpacked once.

bitsandbytes unpacks a layer's weights in every forward and backward pass. On a CPU with enough memory that
costs time for nothing. Its layers also repack themselves for AVX-512 the first time they compute without
gradients, and then give slightly different products. So each 4-bit layer hands its values, dequantised by
bitsandbytes, to a plain linear layer with bitwise the same output and gradient, whatever ran in between. On
a GPU the layers stay as they are.
"""

from typing import Any

import torch
from torch import nn


class Unpacked(nn.Linear):
    """A frozen linear layer with a 4-bit layer's values, multiplied in their own type as in bitsandbytes."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__(weight.shape[1], weight.shape[0], bias=False, device="meta")
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)  # type: ignore[assignment]  # torch's own idiom

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 the name in torch's signature
        """Shape (…, in) -> (…, out), in the type of `input`."""
        dtype = self.weight.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        return nn.functional.linear(input.to(dtype), self.weight, bias).to(input.dtype)


def unpacked_bytes(model: nn.Module) -> int:
    """Bytes that the weights of all 4-bit layers take up once unpacked."""
    import bitsandbytes

    layers = [module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    return sum(
        layer.in_features * layer.out_features * (layer.compute_dtype or torch.float32).itemsize
        for layer in layers
    )


def unpack(model: nn.Module) -> None:
    """Replace all 4-bit layers by Unpacked ones. For weights on a CPU, before an adapter is added."""
    import bitsandbytes

    for name, module in list(model.named_modules()):
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, _unpacked(module))


def _unpacked(layer: Any) -> Unpacked:
    from bitsandbytes.functional import dequantize_4bit

    dtype = layer.compute_dtype or torch.float32
    weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state).to(dtype)
    return Unpacked(weight, None if layer.bias is None else layer.bias.data)


def keep_packed(model: nn.Module) -> None:
    """Keep all 4-bit layers as they are, where memory does not allow unpacking.

    They do not repack themselves either, so that training computes the same before and after an evaluation.
    """
    import bitsandbytes

    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False
