"""PixelRNN with Row LSTM layers (arXiv:1601.06759, section 3.1): a recurrence down the rows, convolutions along them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from research.baselines.causal_context import CausalContext
from research.baselines.trunk import EARLIER, Pixels, Trunk

ALONG = ((0, -1), (0, 0))
"""A 3 x 1 window up to and with its centre."""


class RowLSTM(Trunk):
    """7 x 7 mask A, then Row LSTM layers of half the width in residual connections. Ours: a LayerNorm before each."""

    def __init__(self, *, channels: int, bits: int, condition_width: int, half: int, layers: int) -> None:
        super().__init__(2 * half)
        self.first = Pixels(EARLIER, channels=channels, bits=bits, width=2 * half)
        self.layers = nn.ModuleList(RowLSTMLayer(half, condition_width) for _ in range(layers))

    def forward(self, condition: Tensor, context: CausalContext) -> Tensor:
        """Return features: (..., E) -> (..., D)."""
        x: Tensor = self.first(context)
        for number, layer in enumerate(self.layers):
            x = layer(x, condition, context, number)
        return x


class RowLSTMLayer(nn.Module):
    """Masked input-to-state along the row, state-to-state from the three states above."""

    def __init__(self, half: int, condition_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2 * half)
        self.input = nn.Linear(len(ALONG) * 2 * half, 4 * half)
        self.condition = nn.Linear(condition_width, 4 * half, bias=False)
        self.state = nn.Linear(3 * half, 4 * half, bias=False)
        self.widen = nn.Linear(half, 2 * half)

    def forward(self, x: Tensor, condition: Tensor, context: CausalContext, number: int) -> Tensor:
        """Apply the layer: (..., 2 * half) -> (..., 2 * half)."""
        gates = self.input(context.taps(number, self.norm(x), ALONG)) + self.condition(condition)
        out: Tensor = x + self.widen(context.recur(number, gates, self._cell))
        return out

    def _cell(self, gates: Tensor, above: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden and cell state, (..., h) each, from gates (..., 4h), states (..., 3h) and cell state (..., h) above."""
        keep, write, show, content = (gates + self.state(above)).chunk(4, -1)
        state = torch.sigmoid(keep) * state + torch.sigmoid(write) * torch.tanh(content)
        return torch.sigmoid(show) * torch.tanh(state), state
