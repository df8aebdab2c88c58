"""The masked decoder: one position per pixel, R then G then B from that position's features."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import Geometry, Stage, Widths
from models.embedder import ABSENT, Known, by_slice, scaled, windows
from models.layers import Block, Past, Table, causal_offsets

NEIGHBOURS: Final = ((0, -1), (-1, 0), (-1, -1), (-1, 1))
"""(row, column) of the earlier pixels of a slice that are forecasts: left, above, above left, above right.

A linear gradient repeats its values along lines; each line of the data's three directions runs through one of these.
"""

SLICE_FORECASTS, IMAGE_FORECASTS = len(NEIGHBOURS) + 1, 3

AS_FORECAST = 1.5
"""First weight of a kernel at "as forecast": it saved 4 % of the bits after 240 updates of depth at 32 pixels."""


class Conditioning(NamedTuple):
    """Inputs of a decoder that are known before the first pixel of the slice, indexed by position.

    - start: (B, N, D) decoder input
    - gates: (B, N, blocks * 2D), one share per block
    - forecasts: (B, N, 3, C) int64 from image neighbours in earlier slices, ABSENT where none is known
    - offset: (B, N, C) int64, added to a symbol to give its value (coarse bits in place for depth, else 0)
    """

    start: Tensor
    gates: Tensor
    forecasts: Tensor
    offset: Tensor


class Decoder(nn.Module):
    """Features of each position from the pixels before it; logits from features, earlier channels and forecasts.

    Values are integers in the units the stage predicts in: `value = offset + symbol`, and the symbol is its low bits.
    """

    def __init__(self, geometry: Geometry, stage: Stage, widths: Widths) -> None:
        super().__init__()
        g, d = geometry, widths.width
        self.symbols = 1 << g.target_bits(stage)  # V
        self.value_bits = g.bits if stage is Stage.DEPTH else g.coarse_bits
        self.slice_size, self.widths = g.slice_size, widths
        self.distances = by_slice(g.distances)
        taps = len(causal_offsets(widths.reach))
        self.pixel = PixelEmbedding(g.channels, self.symbols, widths.conv_width)
        self.first = nn.Linear(taps * widths.conv_width, d)
        self.row, self.column = Table(g.slice_size, d), Table(g.slice_size, d)
        self.condition = nn.Linear(d, widths.blocks * 2 * d)
        self.blocks = nn.ModuleList(
            Block(
                width=d,
                heads=widths.heads,
                conv_width=widths.conv_width,
                reach=widths.reach,
                expansion=widths.expansion,
            )
            for _ in range(widths.blocks)
        )
        self.head = Head(g.channels, self.symbols, d)

    def conditioning(self, embedded: Tensor, known: Known, k: Tensor, geometry: Geometry, stage: Stage) -> Conditioning:
        """Return what a slice needs once: embedded (B, N, D) from the slice embedder."""
        return Conditioning(
            embedded + self.positions(),
            self.condition(embedded),
            *image_conditioning(known, k, distance=self.distances[k], geometry=geometry, stage=stage),
        )

    def positions(self) -> Tensor:
        """Return an embedding of each position in the slice, (N, D)."""
        return (self.row.weight[:, None] + self.column.weight[None]).flatten(0, 1)

    def features(self, first: Tensor, start: Tensor, gates: Tensor, past: Past) -> Tensor:
        """Return (..., D). `first`: (..., D), output of the first layer on the pixels before each token."""
        x = first + start
        for layer, (block, gate) in enumerate(zip(self.blocks, gates.chunk(len(self.blocks), -1), strict=True)):
            x = block(x, gate, past, layer)
        return x

    def pixels(self, values: Tensor) -> Tensor:
        """Embed values (..., C), ABSENT outside the slice: (..., P), zero where absent."""
        known = (values >= 0).all(-1, keepdim=True)
        number = scaled(values, self.value_bits, self.first.weight.dtype)
        return torch.where(known, self.pixel(values & (self.symbols - 1), number), 0)

    def forecasts(self, neighbours: Tensor, image: Tensor, offset: Tensor) -> Tensor:
        """Return all forecasts as symbols, (..., J, C), or ABSENT: the `NEIGHBOURS`, the plane of three, those of `image`."""
        values = torch.cat([with_plane(neighbours), image], -2)
        symbols = (values - offset.unsqueeze(-2)).clamp(0, self.symbols - 1)
        return torch.where(values < 0, ABSENT, symbols)


def with_plane(neighbours: Tensor) -> Tensor:
    """Return (..., 5, C): the values of the `NEIGHBOURS`, (..., 4, C), and the plane through the first three, or ABSENT."""
    left, above, above_left, _ = neighbours.unbind(-2)
    absent = (left < 0) | (above < 0) | (above_left < 0)
    plane = torch.where(absent, ABSENT, (left + above - above_left).clamp(min=0))
    return torch.cat([neighbours, plane.unsqueeze(-2)], -2)


class PixelEmbedding(nn.Module):
    """The sum of an embedding of each channel's symbol and a linear layer of the values as numbers."""

    def __init__(self, channels: int, symbols: int, width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(Table(symbols, width) for _ in range(channels))
        self.number = nn.Linear(channels, width)

    def forward(self, symbols: Tensor, number: Tensor) -> Tensor:
        """Map symbols (..., C) int64 and numbers (..., C) in [-1, 1] to (..., P)."""
        out: Tensor = self.number(number) + sum(table(symbols[..., c]) for c, table in enumerate(self.tables))
        return out


class Head(nn.Module):
    """One softmax over V per channel, conditioned on the channels before it.

    Beside plain logits it gives one kernel per forecast, over the difference to that forecast modulo V. So "as left" and
    "one more than the plane through left and above" are one weight each, for every value of the range. Ours.
    """

    def __init__(self, channels: int, symbols: int, width: int) -> None:
        super().__init__()
        self.channels, self.symbols = channels, symbols
        self.kernels = SLICE_FORECASTS + IMAGE_FORECASTS
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, channels * width)
        self.earlier = nn.ModuleList(Table(symbols, (channels - c - 1) * width) for c in range(channels - 1))
        layers = [nn.Linear(width, symbols * (1 + self.kernels)) for _ in range(channels)]
        for layer in layers:
            layer.bias.data.view(1 + self.kernels, symbols)[1:, 0] = AS_FORECAST
        self.out = nn.ModuleList(layers)

    def hiddens(self, features: Tensor) -> list[Tensor]:
        """Return one (..., D) pre-activation per channel, without the pixel's own symbols."""
        return list(self.hidden(self.norm(features)).chunk(self.channels, -1))

    def condition_on(self, hiddens: list[Tensor], channel: int, symbol: Tensor) -> None:
        """Add the symbol of `channel`, (...), to the `hiddens` of later channels, in place. V, the mark of NaN, counts as 0."""
        if channel < self.channels - 1:
            known = symbol & (self.symbols - 1)
            for later, share in enumerate(self.earlier[channel](known).chunk(self.channels - channel - 1, -1)):
                hiddens[channel + 1 + later] = hiddens[channel + 1 + later] + share

    def logits(self, hidden: Tensor, channel: int, forecasts: Tensor) -> Tensor:
        """Return logits (..., V) of a channel from hidden (..., D) and its forecasts (..., J)."""
        plain, kernels = self.out[channel](F.gelu(hidden)).split([self.symbols, self.symbols * self.kernels], -1)
        every = torch.arange(self.symbols, device=hidden.device)
        difference = (every - forecasts[..., None]) & (self.symbols - 1)  # (..., J, V): V is a power of two
        moved = kernels.unflatten(-1, (self.kernels, self.symbols)).gather(-1, difference)
        out: Tensor = plain + (moved * (forecasts >= 0)[..., None]).sum(-2)
        return out


def image_conditioning(
    known: Known, k: Tensor, *, distance: Tensor, geometry: Geometry, stage: Stage
) -> tuple[Tensor, Tensor]:
    """Return forecasts and offset of a `Conditioning`: the part of the known image that needs no weights.

    `distance`: (B,), to the nearest pixels that may be known.
    """
    beside = windows(known.value, k, geometry, distance=distance, radius=1)
    offset = torch.zeros_like(known.coarse) if stage is not Stage.DEPTH else known.coarse << geometry.fine_bits
    own = windows(offset, k, geometry, distance=distance, radius=0)
    return image_forecasts(beside), own.flatten(1, 2)


def image_forecasts(beside: Tensor) -> Tensor:
    """Return the means of known neighbours, (B, N, 3, C), or ABSENT: left and right, above and below, all four.

    `beside`: 3 x 3 values around each position of the slice, (B, 3h, 3w, C).
    """
    sides = ((1, 0), (1, 2), (0, 1), (2, 1))  # row and column in a window
    left, right, above, below = (beside[:, y::3, x::3].flatten(1, 2) for y, x in sides)
    groups = ([left, right], [above, below], [left, right, above, below])
    return torch.stack([known_mean(torch.stack(group)) for group in groups], -2)


def known_mean(values: Tensor) -> Tensor:
    """Return the rounded mean over the first axis of what is not ABSENT; ABSENT where all are."""
    known = values >= 0
    count = known.sum(0)
    total = torch.where(known, values, 0).sum(0)
    return torch.where(count > 0, (2 * total + count) // (2 * count.clamp(min=1)), ABSENT)
