"""The memory of a pass: conditioning, noise, caches and values of R rows, of fixed shapes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from models.decoder import IMAGE_FORECASTS, NEIGHBOURS, Conditioning, Decoder
from models.embedder import ABSENT
from models.layers import causal_offsets


class Board(NamedTuple):
    """R rows, each a slice in progress. Values at positions that are not final are forecasts.

    A row has one lane, or two where the network is guided: lane row * lanes has all controls, the next one is the
    unconditional side. L = R * lanes. A lane has what depends on controls, a row what both its lanes share.

    - conditioning: as in `models.decoder`, (L, ...)
    - noise (R, N, C, V); temperature, guidance (R,)
    - values (R * slots, C) int64: pixels by slot (see `Raster`); pixels (R * slots, P): the same, embedded
    - per layer: grids (L * slots, P), inputs of the convolution; keys (L, heads, d, N + 1) and contents
      (L, heads, N + 1, d), the keys and values of attention
    - front, seen (R,) int64: positions below `front` are final, those below `seen` hold a forecast or a sample
    - pace (R,): moving average of the pixels that a pass accepts
    """

    conditioning: Conditioning
    noise: Tensor
    temperature: Tensor
    guidance: Tensor
    values: Tensor
    pixels: Tensor
    grids: tuple[Tensor, ...]
    keys: tuple[Tensor, ...]
    contents: tuple[Tensor, ...]
    front: Tensor
    seen: Tensor
    pace: Tensor

    @classmethod
    def empty(cls, decoder: Decoder, raster: Raster, rows: int, lanes: int = 1) -> Board:
        """Return a board of finished rows, in the decoder's dtype and on its device."""
        widths, like = decoder.widths, decoder.first.weight
        n, channels, heads = raster.positions, decoder.head.channels, widths.heads
        slots, layers, depth = rows * raster.slots, range(widths.blocks), widths.width // widths.heads
        every = rows * lanes
        symbols = like.new_zeros(every, n, channels, dtype=torch.long)
        finished = torch.full((rows,), n, device=like.device)
        return cls(
            conditioning=Conditioning(
                start=like.new_zeros(every, n, widths.width),
                gates=like.new_zeros(every, n, widths.blocks * 2 * widths.width),
                forecasts=symbols[:, :, None].repeat(1, 1, IMAGE_FORECASTS, 1),
                offset=symbols,
            ),
            noise=like.new_zeros(rows, n, channels, decoder.symbols),
            temperature=like.new_ones(rows),
            guidance=like.new_ones(rows),
            values=torch.full((slots, channels), ABSENT, device=like.device),
            pixels=like.new_zeros(slots, widths.conv_width),
            grids=tuple(like.new_zeros(slots * lanes, widths.conv_width) for _ in layers),
            keys=tuple(like.new_zeros(every, heads, depth, n + 1) for _ in layers),
            contents=tuple(like.new_zeros(every, heads, n + 1, depth) for _ in layers),
            front=finished,
            seen=finished.clone(),
            pace=like.new_ones(rows),
        )

    def bands(self, count: int) -> list[Self]:
        """Return up to `count` boards that share this memory, each with some of the rows."""
        rows = len(self.front)
        return [pytree.tree_map(partial(rows_of, rows=rows, band=band), self) for band in bands(rows, count)]

    @property
    def lanes(self) -> int:
        """Lanes of a row."""
        return len(self.conditioning.start) // len(self.front)

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors."""
        return sum(int(tensor.nbytes) for tensor in pytree.tree_leaves(self))

    def clear(self) -> None:
        """Set all numbers to zero. NaN in a cache spoils the next image there, because 0 times NaN is NaN."""
        for tensor in pytree.tree_leaves(self):
            if tensor.is_floating_point():
                tensor.zero_()

    def place(
        self, row: int, sides: Sequence[Conditioning], noise: Tensor, *, temperature: float, guidance: float
    ) -> None:
        """Start a slice in `row`. `sides`: a conditioning (1, N, ...) for each lane in use; noise (N, C, V)."""
        for side, conditioning in enumerate(sides):
            for kept, new in zip(self.conditioning, conditioning, strict=True):
                kept[row * self.lanes + side].copy_(new[0])
        self.noise[row].copy_(noise)
        self.temperature[row], self.guidance[row] = temperature, guidance
        self.front[row] = self.seen[row] = 0
        self.pace[row] = 1


def bands(rows: int, count: int) -> list[slice]:
    """Split rows into `count` parts as even as possible, or into one part for each row if they are fewer."""
    count = min(count, rows)
    return [slice(rows * i // count, rows * (i + 1) // count) for i in range(count)]


def rows_of(whole: Tensor, *, rows: int, band: slice) -> Tensor:
    """Return some of the rows of a tensor whose first dimension is a multiple of `rows`."""
    each = len(whole) // rows
    return whole[each * band.start : each * band.stop]


class Raster:
    """Slots of each position and its neighbours in the padded grid of one row or lane.

    Tables by position; entry N is for idle tokens. Slots outside the slice are never written, so they stay absent. The last
    slot is the scratch slot.

    - own (N + 1,): slot of a position; the scratch slot for N
    - previous (N + 1,): slot of the position before; the scratch slot for 0 and N
    - taps (N + 1, T): slots of the T causal neighbours
    - neighbours: places of the `NEIGHBOURS` in `taps`
    """

    def __init__(self, side: int, reach: int, device: torch.device) -> None:
        self.side, self.reach, self.positions, stride = side, reach, side * side, side + 2 * reach
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
        self.neighbours = [offsets.index(at) for at in NEIGHBOURS]

    def slices(self, grids: Tensor) -> Tensor:
        """Return the slots of the slices of R padded grids: (R * slots, C) -> (R, h, w, C), which shares their memory."""
        rows, reach = grids.view(-1, self.slots, grids.shape[-1]), self.reach
        padded = rows[:, :-1].view(len(rows), self.side + reach, self.side + 2 * reach, -1)
        return padded[:, reach:, reach:-reach]
