"""From features to pixels: R, then G given R, then B given both, one softmax over all values each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.decoder import SLICE_FORECASTS, with_plane
from models.embedder import ABSENT
from models.layers import Table


class Softmaxes(nn.Module):
    """The head of every baseline: that of the Subscale Pixel Network, with its kernels only if `kernels`.

    With kernels the logits of a channel also have one kernel per forecast over the difference to it (docs/decisions/001).
    Forecasts are those that a slice of the network has: four neighbours, and a plane through three of them.
    """

    def __init__(self, *, channels: int, symbols: int, width: int, hidden: int, kernels: bool) -> None:
        super().__init__()
        self.channels, self.symbols = channels, symbols
        self.kernels = SLICE_FORECASTS if kernels else 0
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, channels * hidden)
        self.earlier = nn.ModuleList(Table(symbols, (channels - c - 1) * hidden) for c in range(channels - 1))
        self.out = nn.ModuleList(nn.Linear(hidden, symbols * (1 + self.kernels)) for _ in range(channels))

    def hiddens(self, features: Tensor) -> list[Tensor]:
        """Return one pre-activation per channel, which does not depend on the pixel itself; features (..., D)."""
        return list(self.hidden(self.norm(features)).chunk(self.channels, -1))

    def add_symbol(self, hiddens: list[Tensor], channel: int, symbol: Tensor) -> None:
        """Update `hiddens` of the channels after `channel` by its symbol, (...)."""
        if channel < self.channels - 1:
            for later, shift in enumerate(self.earlier[channel](symbol).chunk(self.channels - channel - 1, -1)):
                hiddens[channel + 1 + later] = hiddens[channel + 1 + later] + shift

    def logits(self, hidden: Tensor, channel: int, neighbours: Tensor) -> Tensor:
        """Return logits (..., V) from hidden (..., E) and the values of the `NEIGHBOURS`, (..., 4, C)."""
        out: Tensor = self.out[channel](F.gelu(hidden))
        if not self.kernels:
            return out
        plain, *kernels = out.chunk(1 + self.kernels, -1)
        forecasts = with_plane(neighbours)[..., channel].clamp(ABSENT, self.symbols - 1)
        every = torch.arange(self.symbols, device=hidden.device)
        difference = (every - forecasts[..., None]) & (self.symbols - 1)  # (..., 5, V): V is a power of two
        moved = torch.stack(kernels, -2).gather(-1, difference)
        shares: Tensor = (moved * (forecasts >= 0)[..., None]).sum(-2)
        return plain + shares
