"""What the kernel reads and writes: named tuples of tensors, and the sizes that it is compiled for."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from models.decoder import IMAGE_FORECASTS, SLICE_FORECASTS, Decoder
from models.sampling.board import Board, Raster
from models.sampling.persistent.weights import padded
from models.sampling.workspace import Workspace

TOKENS = 16
"""M: tokens of a program; the fewest that a matrix instruction takes."""

KEYS = 16
"""Positions of a cache that a program reads at a time."""


class Slices(NamedTuple):
    """The board as it is: what determines the slices, and `sampled`, their values: tuples of Triton have their own `values`."""

    start: Tensor
    gates: Tensor
    forecasts: Tensor
    offset: Tensor
    noise: Tensor
    temperature: Tensor
    guidance: Tensor
    front: Tensor
    sampled: Tensor

    @classmethod
    def of(cls, board: Board) -> Self:
        """Return the part of a board that the kernel uses."""
        rest = (board.noise, board.temperature, board.guidance, board.front, board.values)
        return cls(*board.conditioning, *rest)


class Scratch(NamedTuple):
    """What programs keep of the lanes that they sample. What a slice reads it has written before, but for zeros.

    - pixels (lanes, slots, P), grids (L, lanes, slots, P): padded; slots outside the slice are zero
    - keys, contents (L, lanes, heads, N, d), in the dtype of products
    - symbols (tokens, C) int32: those of a pass; passes (programs,) int32: how many a program made
    """

    pixels: Tensor
    grids: Tensor
    keys: Tensor
    contents: Tensor
    symbols: Tensor
    passes: Tensor

    @classmethod
    def of(cls, decoder: Decoder, raster: Raster, *, lanes: int, programs: int, dtype: torch.dtype) -> Self:
        """Return empty memory for `lanes`, in at most `programs`."""
        widths, like = decoder.widths, decoder.first.weight
        shape = (lanes, raster.slots, padded(widths.conv_width))
        cache = (widths.blocks, lanes, widths.heads, raster.positions, widths.width // widths.heads)
        keys, contents = (like.new_zeros(cache, dtype=dtype) for _ in range(2))
        symbols = like.new_zeros(programs * TOKENS, decoder.head.channels, dtype=torch.int32)
        passes = like.new_zeros(programs, dtype=torch.int32)
        return cls(like.new_zeros(shape), like.new_zeros(widths.blocks, *shape), keys, contents, symbols, passes)


def kernel_sizes(workspace: Workspace) -> dict[str, int]:
    """Return the constants of the kernel that a launch does not change."""
    decoder, raster = workspace.network.decoder, workspace.raster
    widths, head = decoder.widths, decoder.head
    return {
        "M": TOKENS,
        "BOARD_LANES": workspace.board.lanes,
        "N": raster.positions,
        "SIDE": raster.side,
        "SLOTS": raster.slots,
        "D": widths.width,
        "D2": padded(widths.width),
        "P2": padded(widths.conv_width),
        "T": raster.taps.shape[1],
        **dict(zip(("LEFT", "ABOVE", "ABOVE_LEFT", "ABOVE_RIGHT"), raster.neighbours, strict=True)),
        "HEADS": widths.heads,
        "DEPTH": widths.width // widths.heads,
        "BLOCKS": widths.blocks,
        "EXPANSION": widths.expansion,
        "KEYS": KEYS,
        "C": head.channels,
        "V": decoder.symbols,
        "V2": padded(decoder.symbols),
        "SLICE_FORECASTS": SLICE_FORECASTS,
        "IMAGE_FORECASTS": IMAGE_FORECASTS,
    }
