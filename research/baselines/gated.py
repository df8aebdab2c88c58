"""Gated PixelCNN (arXiv:1606.05328): a vertical stack over the rows above, a horizontal one along the row, no blind spot."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from research.baselines.causal_context import PIXEL_REACH, CausalContext, LocalContext
from research.baselines.trunk import EARLIER, Pixels, Trunk

ABOVE = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1))
"""In the vertical stack: its token (y, x) knows the pixels of the rows before y, so that it may look to the right."""

ALONG = ((0, -1), (0, 0))


class GatedPixelCNN(Trunk):
    """Layers of both stacks. The vertical token of a row already stands one row lower, where the horizontal one needs it.

    Ours: a LayerNorm before each convolution.
    """

    def __init__(self, *, channels: int, bits: int, asked: int, width: int, layers: int) -> None:
        super().__init__(width)
        square = [(dy, dx) for dy in range(-PIXEL_REACH, 0) for dx in range(-PIXEL_REACH, PIXEL_REACH + 1)]
        self.above = Pixels(square, channels=channels, bits=bits, width=width)
        self.along = Pixels([o for o in EARLIER if o[0] == 0], channels=channels, bits=bits, width=width)
        self.vertical = nn.ModuleList(VerticalLayer(width, asked) for _ in range(layers))
        self.horizontal = nn.ModuleList(HorizontalLayer(width, asked) for _ in range(layers))

    def over_rows(self, condition: Tensor, past: LocalContext) -> Tensor:
        """What the vertical stack tells every layer of the horizontal one: (..., layers * 2D)."""
        x: Tensor = self.above(past)
        told = []
        for layer, block in enumerate(self.vertical):
            x, share = block(x, condition, past, layer)
            told.append(share)
        return torch.cat(told, -1)

    def forward(self, condition: Tensor, past: CausalContext) -> Tensor:
        """(..., E) -> (..., D)."""
        told = past.rows(self.over_rows, condition).chunk(len(self.horizontal), -1)
        x: Tensor = self.along(past)
        for layer, (block, share) in enumerate(zip(self.horizontal, told, strict=True)):
            x = block(x, share, condition, past, layer)
        return x


class VerticalLayer(nn.Module):
    """Gated convolution over the rows above, and what the horizontal layer beside it is told."""

    def __init__(self, width: int, asked: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.spread = nn.Linear(len(ABOVE) * width, 2 * width)
        self.condition = nn.Linear(asked, 2 * width, bias=False)
        self.tell = nn.Linear(2 * width, 2 * width, bias=False)

    def forward(self, x: Tensor, condition: Tensor, past: LocalContext, layer: int) -> tuple[Tensor, Tensor]:
        """(..., D) -> (..., D), (..., 2D)."""
        spread = self.spread(past.taps(layer, self.norm(x), ABOVE)) + self.condition(condition)
        return gated(spread), self.tell(spread)


class HorizontalLayer(nn.Module):
    """Gated convolution along the row, with a residual."""

    def __init__(self, width: int, asked: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.spread = nn.Linear(len(ALONG) * width, 2 * width)
        self.condition = nn.Linear(asked, 2 * width, bias=False)
        self.mix = nn.Linear(width, width)

    def forward(self, x: Tensor, told: Tensor, condition: Tensor, past: CausalContext, layer: int) -> Tensor:
        """(..., D), told (..., 2D) -> (..., D)."""
        spread = self.spread(past.taps(layer, self.norm(x), ALONG))
        out: Tensor = x + self.mix(gated(spread + told + self.condition(condition)))
        return out


def gated(x: Tensor) -> Tensor:
    """(..., 2D) -> (..., D)."""
    value, gate = x.chunk(2, -1)
    return torch.tanh(value) * torch.sigmoid(gate)
