"""How a baseline reaches the pixels and features before a token: for whole pictures at once, a row, or one pixel a step.

Each network is written once and reads a `CausalContext`. Tokens have leading axes (B, H, W), (B, W) or (B).
Training and likelihood use `WholeImageContext`. Sampling uses `CachedContext`, which keeps the features of all final pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.embedder import ABSENT
from models.subscale import Bytes

Offsets = Sequence[tuple[int, int]]
"""(row, column) steps from a token to its neighbours, none after it in raster order."""

PIXEL_REACH = 3
"""Offsets of pixels are at most so far, those of features at most one."""

Rows = Callable[[Tensor, "LocalContext"], Tensor]
"""Condition and past -> features of each token that depend on the rows above it alone."""

Cell = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Gates of a token, hidden states (..., 3 * h) above it and cell state (..., h) above it -> its own hidden and cell state."""


class LocalContext(Protocol):
    """What convolutions ask for. A layer has a number of its own; whatever lies outside the picture is zero."""

    def values(self, offsets: Offsets) -> Tensor:
        """Values of earlier pixels, (..., T, C) int64, ABSENT outside the picture."""

    def taps(self, layer: int, x: Tensor, offsets: Offsets) -> Tensor:
        """Remember `x`, (..., D), and return it at `offsets`, (..., T * D); its own is among them as (0, 0)."""


class CausalContext(LocalContext, Protocol):
    """What whole trunks ask for beside."""

    def places(self) -> tuple[Tensor, Tensor]:
        """Row and column of each token, int64; they broadcast to the tokens but for the axis of pictures."""

    def last_pixel(self) -> Tensor:
        """Values (..., C) of the pixel before in raster order, ABSENT before the first."""

    def previous(self, layer: int, x: Tensor) -> Tensor:
        """Remember `x`, (..., D), and return that of the pixel before in raster order."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(..., heads, d) each, v perhaps of another d: attention to all tokens up to and with the own one."""

    def recur(self, layer: int, gates: Tensor, cell: Cell) -> Tensor:
        """Hidden states (..., h) of a recurrence that runs down the rows."""

    def rows(self, compute: Rows, condition: Tensor) -> Tensor:
        """What `compute` gives for each token; a sampler asks it once a row."""


class WholeImageContext:
    """The past of every pixel of pictures with `values` (B, H, W, C)."""

    def __init__(self, values: Tensor) -> None:
        self.picture = values

    def values(self, offsets: Offsets) -> Tensor:
        """(B, H, W, T, C)."""
        return torch.stack(shifted(self.picture, offsets, PIXEL_REACH, fill=ABSENT), -2)

    def taps(self, layer: int, x: Tensor, offsets: Offsets) -> Tensor:  # noqa: ARG002 - all is here
        """(B, H, W, T * D)."""
        return torch.cat(shifted(x, offsets, 1), -1)

    def places(self) -> tuple[Tensor, Tensor]:
        """(H, 1) and (1, W)."""
        height, width = (torch.arange(side, device=self.picture.device) for side in self.picture.shape[1:3])
        return height[:, None], width[None]

    def last_pixel(self) -> Tensor:
        """(B, H, W, C)."""
        return line_shifted(self.picture, ABSENT)

    def previous(self, layer: int, x: Tensor) -> Tensor:  # noqa: ARG002 - as above
        """(B, H, W, D)."""
        return line_shifted(x, 0)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # noqa: ARG002 - as above
        """(B, H, W, heads * d)."""
        flat = [rearrange(t, "b h w a d -> b a (h w) d") for t in (q, k, v)]
        out = fused_attention(*flat)
        return rearrange(out, "b a (h w) d -> b h w (a d)", h=q.shape[1])

    def recur(self, layer: int, gates: Tensor, cell: Cell) -> Tensor:  # noqa: ARG002 - as above
        """(B, H, W, h): row after row, each at once."""
        hidden = memory = gates.new_zeros(*gates[:, 0].shape[:-1], gates.shape[-1] // 4)
        states = []
        for row in gates.unbind(1):
            beside = F.pad(hidden, (0, 0, 1, 1))
            above = torch.cat([beside[:, :-2], hidden, beside[:, 2:]], -1)
            hidden, memory = cell(row, above, memory)
            states.append(hidden)
        return torch.stack(states, 1)

    def rows(self, compute: Rows, condition: Tensor) -> Tensor:
        """All at once."""
        return compute(condition, self)


class CachedContext:
    """Pictures of `shape` (B, H, W, C) being drawn pixel by pixel: `put` values, then move `at` to the next position.

    Features are kept in caches that are made when a layer first asks. The past of a whole row is `row`, below.
    """

    def __init__(self, shape: tuple[int, int, int, int], like: Tensor) -> None:
        self.batch, self.height, self.width, channels = shape
        self.like = like
        self.pitch = self.width + 2 * PIXEL_REACH
        slots = (self.height + PIXEL_REACH) * self.pitch
        self.pixels = torch.full((self.batch, slots, channels), ABSENT, device=like.device)
        self.last = torch.full((self.batch, channels), ABSENT, device=like.device)
        self.at = torch.zeros((), dtype=torch.long, device=like.device)
        self.caches: dict[tuple[str, int], Tensor] = {}
        self.shares = like.new_zeros(self.batch, self.width, 0)

    def put(self, values: Tensor) -> None:
        """The values (B, C) of the pixel at `at`."""
        self.pixels.index_copy_(1, self.slots([(0, 0)]), values[:, None])
        self.last.copy_(values)

    def restart(self) -> None:
        """Begin other pictures. Caches may keep what they hold: nothing is read before it is written anew."""
        self.at.zero_()
        self.last.fill_(ABSENT)

    def picture(self) -> Bytes:
        """(B, H, W, C) values."""
        grid = rearrange(self.pixels, "b (h w) c -> b h w c", w=self.pitch)
        return grid[:, PIXEL_REACH:, PIXEL_REACH:-PIXEL_REACH].to(torch.uint8).numpy()

    def slots(self, offsets: Offsets) -> Tensor:
        """Where neighbours of the pixel at `at` lie in a cache with a margin of `PIXEL_REACH`, (T,)."""
        own = (self.at // self.width + PIXEL_REACH) * self.pitch + self.at % self.width + PIXEL_REACH
        return own + torch.tensor([dy * self.pitch + dx for dy, dx in offsets], device=self.at.device)

    def cache(self, kind: str, layer: int, *shape: int) -> Tensor:
        """A cache of zeros (B, ...)."""
        key = (kind, layer)
        if key not in self.caches:
            self.caches[key] = self.like.new_zeros(self.batch, *shape)
        return self.caches[key]

    def values(self, offsets: Offsets) -> Tensor:
        """(B, T, C)."""
        return self.pixels.index_select(1, self.slots(offsets))

    def taps(self, layer: int, x: Tensor, offsets: Offsets) -> Tensor:
        """(B, T * D)."""
        grid = self.cache("taps", layer, self.pixels.shape[1], x.shape[-1])
        grid.index_copy_(1, self.slots([(0, 0)]), x[:, None])
        return grid.index_select(1, self.slots(offsets)).flatten(1)

    def places(self) -> tuple[Tensor, Tensor]:
        """Two scalars."""
        return self.at // self.width, self.at % self.width

    def last_pixel(self) -> Tensor:
        """(B, C)."""
        return self.last

    def previous(self, layer: int, x: Tensor) -> Tensor:
        """(B, D)."""
        line = self.cache("previous", layer, self.height * self.width + 1, x.shape[-1])
        line.index_copy_(1, self.at[None] + 1, x[:, None])
        return line.index_select(1, self.at[None])[:, 0]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, heads * d)."""
        tokens = self.height * self.width
        keys = self.cache("keys", layer, k.shape[1], tokens, k.shape[-1])
        contents = self.cache("contents", layer, v.shape[1], tokens, v.shape[-1])
        keys.index_copy_(2, self.at[None], k[:, :, None])
        contents.index_copy_(2, self.at[None], v[:, :, None])
        seen = torch.arange(tokens, device=self.at.device) <= self.at
        return F.scaled_dot_product_attention(q[:, :, None], keys, contents, attn_mask=seen[None])[:, :, 0].flatten(1)

    def recur(self, layer: int, gates: Tensor, cell: Cell) -> Tensor:
        """(B, h)."""
        size = gates.shape[-1] // 4
        hidden, memory = (
            self.cache(kind, layer, self.pixels.shape[1], size) for kind in ("hidden state", "cell state")
        )
        above = hidden.index_select(1, self.slots([(-1, -1), (-1, 0), (-1, 1)])).flatten(1)
        own, kept = cell(gates, above, memory.index_select(1, self.slots([(-1, 0)]))[:, 0])
        hidden.index_copy_(1, self.slots([(0, 0)]), own[:, None])
        memory.index_copy_(1, self.slots([(0, 0)]), kept[:, None])
        return own

    def rows(self, compute: Rows, condition: Tensor) -> Tensor:  # noqa: ARG002 - `row_begins` has asked
        """The own column of what was computed for the row."""
        return self.shares.index_select(1, self.at[None] % self.width)[:, 0]

    def row_begins(self, compute: Rows, condition: Tensor) -> None:
        """Compute a row's share of features at its first pixel, all columns together; condition (B, 1, E)."""
        self.shares = compute(condition, RowContext(self))


class RowContext:
    """The past of one row of tokens (B, W, ...), over the caches of a `CachedContext` that stands at the row's first pixel."""

    def __init__(self, memory: CachedContext) -> None:
        self.memory = memory

    def values(self, offsets: Offsets) -> Tensor:
        """(B, W, T, C)."""
        return self._gathered(self.memory.pixels, offsets)

    def taps(self, layer: int, x: Tensor, offsets: Offsets) -> Tensor:
        """(B, W, T * D)."""
        grid = self.memory.cache("rows", layer, self.memory.pixels.shape[1], x.shape[-1])
        grid.index_copy_(1, self._columns([(0, 0)]).flatten(), x)
        return self._gathered(grid, offsets).flatten(2)

    def _columns(self, offsets: Offsets) -> Tensor:
        """(W, T)."""
        across = torch.arange(self.memory.width, device=self.memory.at.device)
        return across[:, None] + self.memory.slots(offsets)

    def _gathered(self, grid: Tensor, offsets: Offsets) -> Tensor:
        near = grid.index_select(1, self._columns(offsets).flatten())
        return rearrange(near, "b (w t) d -> b w t d", t=len(offsets))


def line_shifted(x: Tensor, fill: int) -> Tensor:
    """(B, H, W, D) of the token before in raster order, `fill` before the first."""
    return rearrange(F.pad(x.flatten(1, 2), (0, 0, 1, -1), value=fill), "b (h w) d -> b h w d", h=x.shape[1])


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention by torch's fused kernel, which wants one width: 46 ms forth and back over 1,024 tokens, not 124."""
    missing = v.shape[-1] - q.shape[-1]
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
        return F.scaled_dot_product_attention(
            F.pad(q, (0, missing)), F.pad(k, (0, missing)), v, is_causal=True, scale=q.shape[-1] ** -0.5
        )


def shifted(x: Tensor, offsets: Offsets, reach: int, *, fill: int = 0) -> list[Tensor]:
    """(B, H, W, D) seen from each token at each offset: T times (B, H, W, D)."""
    height, width = x.shape[1:3]
    grid = F.pad(x, (0, 0, reach, reach, reach, 0), value=fill)
    return [grid[:, reach + dy : reach + dy + height, reach + dx : reach + dx + width] for dy, dx in offsets]
