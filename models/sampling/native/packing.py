"""Weights and boards as the C++ code reads them: tensors in its order, linear layers in panels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from models.decoder import Decoder
from models.embedder import Embedder
from models.sampling.board import Board, Raster

WIDEST: Final = 16
"""Numbers in the widest register that the code knows; widths must be whole multiples."""


class Layout(NamedTuple):
    """How a compiled library reads packed weights: panels of `lanes` outputs, `group` neighbouring inputs side by side."""

    lanes: int
    group: int

    @property
    def dtype(self) -> torch.dtype:
        """What is multiplied; sums are float32."""
        return torch.bfloat16 if self.group > 1 else torch.float32


class Weights:
    """A module's weights by name, as the C++ code reads them."""

    def __init__(self, module: nn.Module, layout: Layout) -> None:
        self._tensors, self._layout = module.state_dict(), layout

    def plain(self, *names: str) -> Iterator[Tensor]:
        """Weight and, where there is one, bias of each module."""
        for name in names:
            yield from (self._tensors[at] for at in (f"{name}.weight", f"{name}.bias") if at in self._tensors)

    def packed(self, *names: str) -> Iterator[Tensor]:
        """Weight and bias of each linear layer or convolution, packed."""
        for name in names:
            weight, bias = self.plain(name)
            yield from packed(weight, bias, self._layout)


def embedder_weights(embedder: Embedder, decoder: Decoder, layout: Layout) -> Iterator[Tensor]:
    """In the order in which the C++ code reads them."""
    weights = Weights(embedder, layout)
    yield from weights.packed("first")
    yield from weights.packed(
        *(f"blocks.{i}.{part}" for i in range(len(embedder.blocks)) for part in ("spread", "mix"))
    )
    yield from weights.plain("last")
    yield from Weights(decoder, layout).packed("condition")
    yield decoder.positions().detach().contiguous()


def decoder_weights(decoder: Decoder, layout: Layout) -> Iterator[Tensor]:
    """In the order in which the C++ code reads them."""
    weights, channels = Weights(decoder, layout), range(decoder.head.channels)
    yield from weights.plain(*(f"pixel.tables.{c}" for c in channels))
    number, bias = weights.plain("pixel.number")
    yield from (number.T.contiguous(), bias)
    yield from weights.packed("first")
    for i in range(len(decoder.blocks)):
        yield from weights.plain(*(f"blocks.{i}.{norm}" for norm in ("near_norm", "far_norm", "feed_norm")))
        layers = ("narrow", "gates", "near_out", "qkv", "far_out", "feed.0", "feed.2")
        yield from weights.packed(*(f"blocks.{i}.{layer}" for layer in layers))
    yield from weights.plain("head.norm")
    yield from weights.packed("head.hidden")
    yield from weights.plain(*(f"head.earlier.{c}" for c in channels[:-1]))
    yield from weights.packed(*(f"head.out.{c}" for c in channels))


def packed(weight: Tensor, bias: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Weights in panels, (panels, inputs / group, lanes, group), and the bias, all padded with zeros to whole registers.

    A convolution's inputs are a window laid out by row, column, channel.
    """
    lanes, group = layout
    matrix = rearrange(weight, "o i ... -> o (... i)")
    outputs, inputs = (-length % lanes for length in matrix.shape)
    panels = rearrange(F.pad(matrix, (0, inputs, 0, outputs)), "(p l) (i g) -> p i l g", l=lanes, g=group)
    return panels.to(layout.dtype).contiguous(), F.pad(bias, (0, outputs))


def memory(board: Board, raster: Raster) -> Iterator[Tensor]:
    """The board and its raster, in the order in which the C++ code reads them. It lays out keys and contents its own way."""
    yield from board.conditioning
    yield from (board.noise, board.temperature, board.guidance, board.values, board.pixels)
    for caches in (board.grids, board.keys, board.contents):
        yield from caches
    yield from (board.front, board.seen, board.pace, raster.own, raster.previous, raster.taps)
