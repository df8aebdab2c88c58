"""One pass of a decoder over M packed tokens, on position-indexed caches.

Each row has a window of W consecutive positions, rows in order; tokens left over are idle. Every cache is indexed by position
and always full-sized and M is fixed, so every product has the same shape whatever the rows do; that is what makes a row's
result independent of its company (DESIGN section 3). An idle token sits at position N and uses a scratch slot.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from models.decoder import Conditioning, Decoder
from models.embedder import ABSENT
from models.layers import causal_offsets
from models.sampling.noise import gumbel_max

GROUP = 4
"""Attention queries come in blocks of at least four: fewer take another kernel with other rounding."""


class Raster:
    """Where each position lies in the padded grid that neighbours are read from: (N + 1,) tables, the last entry idle."""

    def __init__(self, side: int, reach: int, device: torch.device) -> None:
        self.positions, stride = side * side, side + 2 * reach
        self.slots = (side + reach) * stride + 1
        scratch = torch.tensor([self.slots - 1])
        rows, columns = torch.arange(side)[:, None] + reach, torch.arange(side) + reach
        own = torch.cat([(rows * stride + columns).flatten(), scratch])
        taps = torch.tensor([dy * stride + dx for dy, dx in causal_offsets(reach)])
        neighbours = own[:-1, None] + taps
        self.own = own.to(device)
        self.previous = torch.cat([scratch, own[:-2], scratch]).to(device)
        self.taps = torch.cat([neighbours, scratch.expand(1, len(taps))]).to(device)
        offsets = causal_offsets(reach)
        self.left, self.above, self.corner = (offsets.index(at) for at in ((0, -1), (-1, 0), (-1, -1)))


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The tokens of one pass: rows (M,), positions (M,); the first R * `window` of them are the rows' windows in order."""

    rows: Tensor
    positions: Tensor
    window: int


class CachedPast:
    """The past of packed tokens: answers from caches after writing the tokens' own share into them."""

    def __init__(self, decoder: Decoder, rows: int, like: Tensor) -> None:
        widths = decoder.widths
        self.raster = Raster(decoder.slice_size, widths.reach, like.device)
        width, n = like.shape[-1], self.raster.positions + 1
        layers, heads = widths.blocks, widths.heads
        self.grids = like.new_zeros(layers, rows * self.raster.slots, widths.conv_width)
        self.pixels = like.new_zeros(rows * self.raster.slots, widths.conv_width)
        self.keys, self.values = (like.new_zeros(layers, rows, n, heads, width // heads) for _ in range(2))
        self.every = torch.arange(n, device=like.device)

    def begin(self, tokens: Tokens) -> None:
        """Point at the tokens of the next pass."""
        slots, self.tokens = self.raster.slots, tokens
        base = tokens.rows * slots
        self.own = base + self.raster.own[tokens.positions]
        self.previous = base + self.raster.previous[tokens.positions]
        self.taps = base[:, None] + self.raster.taps[tokens.positions]
        self.busy = self.keys.shape[1] * tokens.window
        mask = self.every <= tokens.positions[: self.busy, None]
        self.mask = rearrange(mask, "(r w) n -> r 1 w n", w=tokens.window)

    def near_pixels(self, pixels: Tensor) -> Tensor:
        """Remember the embedded pixel before each token, (M, P); return the T before it, (M, T * P)."""
        self.pixels[self.previous] = pixels
        return self.pixels[self.taps].flatten(1)

    def neighbours(self, layer: int, x: Tensor) -> Tensor:
        """(M, D) -> (M, T * D)."""
        grid = self.grids[layer]
        grid[self.own] = x
        return grid[self.taps].flatten(1)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(M, heads, d) each -> (M, heads * d)."""
        keys, values, at = self.keys[layer], self.values[layer], (self.tokens.rows, self.tokens.positions)
        keys[at], values[at] = k, v
        windows = rearrange(q[: self.busy], "(r w) a d -> r a w d", w=self.tokens.window)
        keys, values = (rearrange(t, "r n a d -> r a n d") for t in (keys, values))
        out = F.scaled_dot_product_attention(windows, keys, values, attn_mask=self.mask)
        return F.pad(rearrange(out, "r a w d -> (r w) (a d)"), (0, 0, 0, len(q) - self.busy))


class SliceDraw:
    """Rows of slices being drawn: conditioning, noise, caches, and the values so far, (R, N, C).

    Values at positions that are not final yet are forecasts; a pass draws every token from what `values` holds before it.
    """

    def __init__(self, decoder: Decoder, conditioning: Conditioning, noise: Tensor, temperature: Tensor) -> None:
        self.decoder, self.conditioning = decoder, conditioning
        self.noise, self.temperature = noise, temperature
        self.rows, self.positions, self.channels = conditioning.offset.shape
        self.past = CachedPast(decoder, self.rows, conditioning.start)
        self.values = torch.full((self.rows * self.past.raster.slots, self.channels), ABSENT, device=noise.device)

    def run(self, tokens: Tokens) -> Tensor:
        """One pass: the symbols drawn at each token, (M, C)."""
        decoder, past, c = self.decoder, self.past, self.conditioning
        past.begin(tokens)
        row, at = tokens.rows, tokens.positions.clamp(max=self.positions - 1)
        near = past.near_pixels(decoder.pixels(self.values[past.previous]))
        features = decoder.features(near, c.start[row, at], c.gates[row, at], past)
        raster, around = past.raster, self.values[past.taps]
        beside = (around[:, raster.left], around[:, raster.above], around[:, raster.corner])
        forecasts = decoder.forecasts(*beside, c.forecasts[row, at], c.offset[row, at])
        return self._draw(features, forecasts, self.noise[row, at], self.temperature[row])

    def _draw(self, features: Tensor, forecasts: Tensor, noise: Tensor, temperature: Tensor) -> Tensor:
        head, drawn = self.decoder.head, []
        hiddens = head.hiddens(features)
        for channel in range(self.channels):
            logits = head.logits(hiddens[channel], channel, forecasts[..., channel])
            drawn.append(gumbel_max(logits, noise[:, channel], temperature))
            head.tell(hiddens, channel, drawn[-1])
        return torch.stack(drawn, -1)

    def put(self, tokens: Tokens, symbols: Tensor) -> None:
        """Write symbols (M, C) as values at the tokens; idle tokens write nothing that is read."""
        at = tokens.positions.clamp(max=self.positions - 1)
        slots = tokens.rows * self.past.raster.slots + self.past.raster.own[tokens.positions]
        idle = (tokens.positions == self.positions)[:, None]
        values = symbols + self.conditioning.offset[tokens.rows, at]
        self.values[slots] = torch.where(idle, ABSENT, values)

    def at(self, tokens: Tokens) -> Tensor:
        """The symbols that `values` holds at the tokens, (M, C)."""
        slots = tokens.rows * self.past.raster.slots + self.past.raster.own[tokens.positions]
        return self.values[slots] & (self.decoder.symbols - 1)

    def symbols(self) -> Tensor:
        """All symbols, (R, N, C)."""
        grid = self.values.view(self.rows, -1, self.channels)[:, self.past.raster.own[:-1]]
        return grid & (self.decoder.symbols - 1)
