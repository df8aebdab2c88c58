"""The trunk, in which the baselines differ: features of each pixel from the pixels before it."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from models.decoder import PixelEmbedding
from models.embedder import scaled
from research.baselines.causal_context import PIXEL_REACH, CausalContext, LocalContext, Offsets

EARLIER: Offsets = tuple(
    (dy, dx) for dy in range(-PIXEL_REACH, 1) for dx in range(-PIXEL_REACH, PIXEL_REACH + 1) if (dy, dx) < (0, 0)
)
"""The 24 pixels of a 7 x 7 window that come before its centre: mask A."""

EMBEDDED: Final = 32
"""Width of an embedded pixel."""


class Trunk(nn.Module):
    """Causal features of `width`; `over_rows` is the part that depends on the rows above only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def over_rows(self, condition: Tensor, context: LocalContext) -> Tensor:  # noqa: ARG002 - most trunks have no such part
        """Return (..., A) from condition (..., E) for whole rows of tokens together; by default nothing."""
        return condition.new_zeros(*condition.shape[:-1], 0)

    def forward(self, condition: Tensor, context: CausalContext) -> Tensor:
        """Return features (..., D) from condition (..., E), each from earlier pixels only."""
        raise NotImplementedError


class Pixels(nn.Module):
    """A masked first convolution over embedded pixels: values by table and as numbers, as in the Subscale Pixel Network.

    With numbers alone a softmax over 256 values learns "equal to the left" far more slowly. Absent pixels are zero.
    """

    def __init__(self, offsets: Offsets, *, channels: int, bits: int, width: int) -> None:
        super().__init__()
        self.offsets, self.bits = offsets, bits
        self.embed = PixelEmbedding(channels, 1 << bits, EMBEDDED)
        self.mix = nn.Linear(len(offsets) * EMBEDDED, width)

    def forward(self, context: LocalContext) -> Tensor:
        """Return features (..., D)."""
        values = context.values(self.offsets)
        numbers = scaled(values, self.bits, self.mix.weight.dtype)
        embedded = torch.where(values[..., :1] >= 0, self.embed(values.clamp(min=0), numbers), 0)
        out: Tensor = self.mix(embedded.flatten(-2))
        return out
