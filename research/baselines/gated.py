"""Gated PixelCNN (arXiv:1606.05328): a vertical stack over the rows above, a horizontal one along the row, no blind spot."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from research.baselines.causal_context import PIXEL_REACH, CausalContext, LocalContext
from research.baselines.trunk import EARLIER, Pixels, Trunk

ABOVE = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1))
"""Window of the vertical stack: its token (y, x) depends on the rows before y only, so that it may reach to the right."""

ALONG = ((0, -1), (0, 0))


class GatedPixelCNN(Trunk):
    """Layers of both stacks. The vertical token of a row is already one row lower, where the horizontal stack needs it.

    Ours: a LayerNorm before each convolution.
    """

    def __init__(self, *, channels: int, bits: int, condition_width: int, width: int, layers: int) -> None:
        super().__init__(width)
        square = [(dy, dx) for dy in range(-PIXEL_REACH, 0) for dx in range(-PIXEL_REACH, PIXEL_REACH + 1)]
        self.above = Pixels(square, channels=channels, bits=bits, width=width)
        self.along = Pixels([o for o in EARLIER if o[0] == 0], channels=channels, bits=bits, width=width)
        self.vertical = nn.ModuleList(VerticalLayer(width, condition_width) for _ in range(layers))
        self.horizontal = nn.ModuleList(HorizontalLayer(width, condition_width) for _ in range(layers))

    def over_rows(self, condition: Tensor, context: LocalContext) -> Tensor:
        """Return the input from the vertical stack to every layer of the horizontal one: (..., layers * 2D)."""
        x: Tensor = self.above(context)
        shares = []
        for layer, block in enumerate(self.vertical):
            x, share = block(x, condition, context, layer)
            shares.append(share)
        return torch.cat(shares, -1)

    def forward(self, condition: Tensor, context: CausalContext) -> Tensor:
        """Return features: (..., E) -> (..., D)."""
        shares = context.rows(self.over_rows, condition).chunk(len(self.horizontal), -1)
        x: Tensor = self.along(context)
        for layer, (block, share) in enumerate(zip(self.horizontal, shares, strict=True)):
            x = block(x, share, condition, context, layer)
        return x


class VerticalLayer(nn.Module):
    """A gated convolution over the rows above, and its output to the horizontal layer beside it."""

    def __init__(self, width: int, condition_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.spread = nn.Linear(len(ABOVE) * width, 2 * width)
        self.condition = nn.Linear(condition_width, 2 * width, bias=False)
        self.tell = nn.Linear(2 * width, 2 * width, bias=False)  # to the horizontal layer; a name in checkpoints

    def forward(self, x: Tensor, condition: Tensor, context: LocalContext, layer: int) -> tuple[Tensor, Tensor]:
        """Apply the layer: (..., D) -> (..., D), (..., 2D)."""
        spread = self.spread(context.taps(layer, self.norm(x), ABOVE)) + self.condition(condition)
        return gated(spread), self.tell(spread)


class HorizontalLayer(nn.Module):
    """A gated convolution along the row, with a residual."""

    def __init__(self, width: int, condition_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.spread = nn.Linear(len(ALONG) * width, 2 * width)
        self.condition = nn.Linear(condition_width, 2 * width, bias=False)
        self.mix = nn.Linear(width, width)

    def forward(self, x: Tensor, vertical: Tensor, condition: Tensor, context: CausalContext, layer: int) -> Tensor:
        """Apply the layer: (..., D), the output of the vertical layer (..., 2D) -> (..., D)."""
        spread = self.spread(context.taps(layer, self.norm(x), ALONG))
        out: Tensor = x + self.mix(gated(spread + vertical + self.condition(condition)))
        return out


def gated(x: Tensor) -> Tensor:
    """Apply the gate: (..., 2D) -> (..., D)."""
    value, gate = x.chunk(2, -1)
    return torch.tanh(value) * torch.sigmoid(gate)
