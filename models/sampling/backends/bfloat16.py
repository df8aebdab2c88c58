"""Linear layers whose products are of bfloat16 with float32 sums, as in training and in the C++ sampler."""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import Tensor, nn

from models.decoder import Decoder

NUMBERS = "pixel.number"
"""The layer that reads sub-pixels as numbers: bfloat16 has too few digits for the 256 values of a byte."""


class Bfloat16Linear(nn.Linear):
    """A linear layer on (M, inputs) float32 with float32 results; only the factors of its products are rounded."""

    rounded: Tensor

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """Return the layer with the parameters of `linear`, which both share."""
        layer = cls(linear.in_features, linear.out_features, device="meta")
        layer.weight, layer.bias = linear.weight, linear.bias
        layer.register_buffer("rounded", linear.weight.detach().to(torch.bfloat16), persistent=False)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Map (M, inputs) to (M, outputs)."""
        return product(x.to(torch.bfloat16), self.rounded.T) + self.bias


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return the matrix product of two bfloat16 matrices in float32. Only CUDA can keep its sums; a CPU gets them first."""
    if left.device.type == "cuda":
        return torch.mm(left, right, out_dtype=torch.float32)
    return left.float() @ right.float()


def with_bfloat16_products(decoder: Decoder) -> Decoder:
    """Return a decoder with the same parameters whose layers, all but `NUMBERS`, have products of bfloat16."""
    shared = {id(parameter): parameter for parameter in decoder.parameters()}
    twin = copy.deepcopy(decoder, shared)
    for name, layer in list(twin.named_modules()):
        if isinstance(layer, nn.Linear) and name != NUMBERS:
            parent, _, own = name.rpartition(".")
            setattr(twin.get_submodule(parent), own, Bfloat16Linear.of(layer))
    return twin
