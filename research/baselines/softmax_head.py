"""From features to pixels: R, then G given R, then B given both, one softmax over all values each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.embedder import ABSENT
from models.layers import Table

FORECASTS = ((0, -1), (-1, 0), (-1, -1))
"""Left, above and corner: what the forecasts of the kernels are made of."""


class Softmaxes(nn.Module):
    """The head that every baseline has: the Subscale Pixel Network's, without its kernels unless `kernels`.

    With kernels the logits of a channel have, beside the plain ones, one kernel per forecast over the difference to it
    (docs/decisions/001): left, above, and the plane through left, above and corner.
    """

    def __init__(self, *, channels: int, symbols: int, width: int, hidden: int, kernels: bool) -> None:
        super().__init__()
        self.channels, self.symbols = channels, symbols
        self.kernels = len(FORECASTS) if kernels else 0
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, channels * hidden)
        self.earlier = nn.ModuleList(Table(symbols, (channels - c - 1) * hidden) for c in range(channels - 1))
        self.out = nn.ModuleList(nn.Linear(hidden, symbols * (1 + self.kernels)) for _ in range(channels))

    def hiddens(self, features: Tensor) -> list[Tensor]:
        """(..., D) -> one pre-activation per channel, blind to the pixel itself."""
        return list(self.hidden(self.norm(features)).chunk(self.channels, -1))

    def tell(self, hiddens: list[Tensor], channel: int, symbol: Tensor) -> None:
        """Let the channels after `channel` know its symbol, (...): `hiddens` is updated."""
        if channel < self.channels - 1:
            for later, told in enumerate(self.earlier[channel](symbol).chunk(self.channels - channel - 1, -1)):
                hiddens[channel + 1 + later] = hiddens[channel + 1 + later] + told

    def logits(self, hidden: Tensor, channel: int, near: Tensor) -> Tensor:
        """Hidden (..., E), values `near` (..., 3, C) at `FORECASTS` -> (..., V)."""
        out: Tensor = self.out[channel](F.gelu(hidden))
        if not self.kernels:
            return out
        plain, *kernels = out.chunk(1 + self.kernels, -1)
        forecasts = self._forecasts(near[..., channel])
        every = torch.arange(self.symbols, device=hidden.device)
        difference = (every - forecasts[..., None]) & (self.symbols - 1)  # (..., 3, V): V is a power of two
        moved = torch.stack(kernels, -2).gather(-1, difference)
        shares: Tensor = (moved * (forecasts >= 0)[..., None]).sum(-2)
        return plain + shares

    def _forecasts(self, near: Tensor) -> Tensor:
        left, above, corner = near.unbind(-1)
        plane = (left + above - corner).clamp(0, self.symbols - 1)
        return torch.stack([left, above, torch.where((near < 0).any(-1), ABSENT, plane)], -1)
