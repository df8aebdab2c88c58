"""Layers of a masked decoder, written once for whole slices (training) and for packed tokens (sampling).

A block reaches earlier pixels through a `Past`: the whole slice at once (`WholeSlice`, here), or caches indexed by position
(`models.sampling.passes`). Weights and arithmetic are the same.
"""

from __future__ import annotations

from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from models.attention import causal_attention


def causal_offsets(reach: int) -> list[tuple[int, int]]:
    """Return (row, column) offsets of the T pixels before the current one in raster order, within `reach`."""
    square = [(dy, dx) for dy in range(-reach, 1) for dx in range(-reach, reach + 1)]
    return square[: square.index((0, 0))]


class Past(Protocol):
    """Access of a block to earlier positions, for tokens of any leading shape `...`."""

    def window(self, layer: int, x: Tensor, linear: nn.Linear) -> Tensor:
        """Store `x`, (..., D), and apply `linear` to its T causal neighbours, (..., T * D), zero outside the slice.

        A layer with weights for T + 1 pixels also gets `x` itself, as the last one.
        """

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store k and v, (..., heads, d), and attend from q to all positions up to and including its own."""


class WholeSlice:
    """The past of every position of (B, N, ...) slices at once: shifts for neighbours, a causal mask for attention."""

    def __init__(self, slice_size: int, reach: int) -> None:
        self.slice_size, self.reach = slice_size, reach

    def window(self, layer: int, x: Tensor, linear: nn.Linear) -> Tensor:  # noqa: ARG002 - nothing to store: all is here
        """Map (B, N, D) to (B, N, outputs) by one convolution, so that nothing is gathered.

        Later pixels of a row have weight 0.
        """
        reach, across = self.reach, 2 * self.reach + 1
        taps = rearrange(linear.weight, "o (t d) -> o t d", d=x.shape[-1])
        square = F.pad(taps, (0, 0, 0, (reach + 1) * across - taps.shape[1]))
        kernel = rearrange(square, "o (y x) d -> o d y x", x=across)
        grid = F.pad(rearrange(x, "b (h w) d -> b d h w", h=self.slice_size), (reach, reach, reach, 0))
        return rearrange(F.conv2d(grid, kernel, linear.bias), "b o h w -> b (h w) o")

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # noqa: ARG002 - as above
        """Map (B, N, heads, d) each to (B, N, heads * d)."""
        q, k, v = (rearrange(t, "b n a d -> b a n d") for t in (q, k, v))
        return rearrange(causal_attention(q, k, v), "b a n d -> b n (a d)")


class Table(nn.Embedding):
    """An embedding that starts small: torch's own start is noise that hundreds of updates do not remove."""

    def reset_parameters(self) -> None:
        """Fill with normal numbers of standard deviation 1/20."""
        nn.init.normal_(self.weight, std=0.05)


class Block(nn.Module):
    """Masked gated convolution, masked self-attention, feed-forward; each a pre-normalised residual branch.

    The gated convolution is Gated PixelCNN's (arXiv:1606.05328) at `conv_width` channels; the slice embedder's output
    enters inside the gate, as that paper's conditional vector does.
    """

    def __init__(self, *, width: int, heads: int, conv_width: int, reach: int, expansion: int) -> None:
        super().__init__()
        taps = len(causal_offsets(reach))
        self.heads = heads
        self.near_norm, self.far_norm, self.feed_norm = (nn.LayerNorm(width) for _ in range(3))
        self.narrow = nn.Linear(width, conv_width)
        self.gates = nn.Linear((taps + 1) * conv_width, 2 * width)
        self.near_out = nn.Linear(width, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.far_out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width))

    def forward(self, x: Tensor, condition: Tensor, past: Past, layer: int) -> Tensor:
        """Map x (..., D) and condition (..., 2D) to (..., D)."""
        x = x + self._convolve(self.near_norm(x), condition, past, layer)
        x = x + self._attend(self.far_norm(x), past, layer)
        out: Tensor = x + self.feed(self.feed_norm(x))
        return out

    def _convolve(self, x: Tensor, condition: Tensor, past: Past, layer: int) -> Tensor:
        x = self.narrow(x)
        value, gate = (past.window(layer, x, self.gates) + condition).chunk(2, -1)
        out: Tensor = self.near_out(torch.tanh(value) * torch.sigmoid(gate))
        return out

    def _attend(self, x: Tensor, past: Past, layer: int) -> Tensor:
        q, k, v = rearrange(self.qkv(x), "... (three a d) -> three ... a d", three=3, a=self.heads)
        out: Tensor = self.far_out(past.attend(layer, q, k, v))
        return out
