"""PixelSNAIL (arXiv:1712.09763): gated residual convolutions, and attention to all earlier pixels."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from models.embedder import scaled
from models.layers import Table
from research.baselines.causal_context import CausalContext
from research.baselines.pixelcnn import MASK_B
from research.baselines.trunk import EARLIER, Pixels, Trunk

KEY = 16
"""Width of queries and keys, as in the paper."""


class PixelSNAIL(Trunk):
    """Blocks of gated residual convolutions, attention over pixels, features and positions, and a layer that joins both.

    Ours: a LayerNorm before each residual convolution; 3 x 3 windows, which reach to the right in the row above.
    """

    def __init__(  # noqa: PLR0913 - its size
        self,
        *,
        channels: int,
        bits: int,
        condition_width: int,
        width: int,
        blocks: int,
        residuals: int,
        heads: int,
        side: int,
    ) -> None:
        super().__init__(width)
        self.first = Pixels(EARLIER, channels=channels, bits=bits, width=width)
        self.row, self.column = Table(side, KEY), Table(side, KEY)
        self.blocks = nn.ModuleList(
            AttentionBlock(
                width=width,
                condition_width=condition_width,
                channels=channels,
                bits=bits,
                residuals=residuals,
                heads=heads,
            )
            for _ in range(blocks)
        )

    def forward(self, condition: Tensor, context: CausalContext) -> Tensor:
        """Return features: (..., E) -> (..., D)."""
        x: Tensor = self.first(context)
        rows, columns = context.places()
        place = (self.row(rows) + self.column(columns)).expand(*x.shape[:-1], KEY)
        for number, block in enumerate(self.blocks):
            x = block(x, place, condition, context, number)
        return x


class AttentionBlock(nn.Module):
    """Residual convolutions, attention, and a layer that joins both."""

    def __init__(  # noqa: PLR0913 - its size
        self, *, width: int, condition_width: int, channels: int, bits: int, residuals: int, heads: int
    ) -> None:
        super().__init__()
        self.bits, self.heads = bits, heads
        self.residuals = nn.ModuleList(GatedResidual(width, condition_width) for _ in range(residuals))
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width + KEY, heads * KEY)
        self.key = nn.Linear(width + channels + KEY, heads * KEY)
        self.content = nn.Linear(width + channels + KEY, width)
        self.join = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, place: Tensor, condition: Tensor, context: CausalContext, number: int) -> Tensor:
        """Apply the block: (..., D) -> (..., D)."""
        for i, residual in enumerate(self.residuals):
            x = residual(x, condition, context, 2 * (number * len(self.residuals) + i))
        own = self.norm(x)
        seen = self._attended(own, place, context, number)
        out: Tensor = x + self.join(F.elu(torch.cat([own, seen], -1)))
        return out

    def _attended(self, own: Tensor, place: Tensor, context: CausalContext, number: int) -> Tensor:
        """Return attention of token i to the value, features and position of the pixels up to i - 1."""
        before = context.previous(number, torch.cat([own, place], -1))
        pixel = context.last_pixel()
        shown = torch.where(pixel >= 0, scaled(pixel, self.bits, own.dtype), 0)
        source = torch.cat([before, shown.to(before.dtype)], -1)
        q, k, v = self.query(torch.cat([own, place], -1)), self.key(source), self.content(source)
        split = [rearrange(t, "... (a d) -> ... a d", a=self.heads) for t in (q, k, v)]
        return context.attend(number, *split)


class GatedResidual(nn.Module):
    """Two causal convolutions with a residual; the second is gated."""

    def __init__(self, width: int, condition_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.spread = nn.Linear(len(MASK_B) * width, width)
        self.condition = nn.Linear(condition_width, width, bias=False)
        self.gates = nn.Linear(len(MASK_B) * width, 2 * width)

    def forward(self, x: Tensor, condition: Tensor, context: CausalContext, layer: int) -> Tensor:
        """Apply the block: (..., D) -> (..., D)."""
        spread = self.spread(context.taps(layer, F.elu(self.norm(x)), MASK_B)) + self.condition(condition)
        value, gate = self.gates(context.taps(layer + 1, F.elu(spread), MASK_B)).chunk(2, -1)
        out: Tensor = x + value * torch.sigmoid(gate)
        return out
