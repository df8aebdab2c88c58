"""PixelCNN (arXiv:1601.06759, section 3.5): masked convolutions, which have a blind spot above on the right."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from research.baselines.causal_context import CausalContext
from research.baselines.trunk import EARLIER, Pixels, Trunk

MASK_B = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0))
"""A 3 x 3 window up to and with its centre."""


class PixelCNN(Trunk):
    """7 x 7 mask A, then residual blocks of half the width: 1 x 1, 3 x 3 mask B, 1 x 1.

    Ours: a LayerNorm before each block, the condition inside it; a mask has its nonzero weights only.
    """

    def __init__(self, *, channels: int, bits: int, condition_width: int, half: int, blocks: int) -> None:
        super().__init__(2 * half)
        self.first = Pixels(EARLIER, channels=channels, bits=bits, width=2 * half)
        self.blocks = nn.ModuleList(MaskedResidualBlock(half, condition_width) for _ in range(blocks))

    def forward(self, condition: Tensor, context: CausalContext) -> Tensor:
        """Return features: (..., E) -> (..., D)."""
        x: Tensor = self.first(context)
        for layer, block in enumerate(self.blocks):
            x = block(x, condition, context, layer)
        return x


class MaskedResidualBlock(nn.Module):
    """A block of `PixelCNN`."""

    def __init__(self, half: int, condition_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2 * half)
        self.narrow = nn.Linear(2 * half, half)
        self.spread = nn.Linear(len(MASK_B) * half, half)
        self.condition = nn.Linear(condition_width, half, bias=False)
        self.widen = nn.Linear(half, 2 * half)

    def forward(self, x: Tensor, condition: Tensor, context: CausalContext, layer: int) -> Tensor:
        """Apply the block: (..., 2 * half) -> (..., 2 * half)."""
        narrow = F.relu(self.narrow(F.relu(self.norm(x))))
        spread = self.spread(context.taps(layer, narrow, MASK_B)) + self.condition(condition)
        out: Tensor = x + self.widen(F.relu(spread))
        return out
