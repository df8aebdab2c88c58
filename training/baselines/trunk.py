"""What the baselines differ in: features of each pixel from the pixels before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.embedder import scaled
from training.baselines.past import PIXEL_REACH, Near, Offsets, Past

EARLIER: Offsets = tuple(
    (dy, dx) for dy in range(-PIXEL_REACH, 1) for dx in range(-PIXEL_REACH, PIXEL_REACH + 1) if (dy, dx) < (0, 0)
)
"""The 24 pixels of a 7 x 7 window that come before its centre: mask A."""


class Trunk(nn.Module):
    """Causal features of `width`; `over_rows` is the part of them that depends on the rows above alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def over_rows(self, condition: Tensor, past: Near) -> Tensor:  # noqa: ARG002 - most trunks have no such part
        """Condition (..., E) -> (..., A), for whole rows of tokens together; nothing here."""
        return condition.new_zeros(*condition.shape[:-1], 0)

    def forward(self, condition: Tensor, past: Past) -> Tensor:
        """Condition (..., E) -> (..., D), each token's from the pixels before it alone."""
        raise NotImplementedError


class Pixels(nn.Module):
    """Masked first convolution: earlier pixels as numbers in [-1, 1], with a flag for those inside the picture."""

    def __init__(self, offsets: Offsets, *, channels: int, bits: int, width: int) -> None:
        super().__init__()
        self.offsets, self.bits = offsets, bits
        self.mix = nn.Linear(len(offsets) * (channels + 1), width)

    def forward(self, past: Near) -> Tensor:
        """(..., D)."""
        values = past.values(self.offsets)
        inside = values[..., :1] >= 0
        numbers = torch.where(inside, scaled(values, self.bits, self.mix.weight.dtype), 0)
        out: Tensor = self.mix(torch.cat([numbers, inside.to(numbers.dtype)], -1).flatten(-2))
        return out
