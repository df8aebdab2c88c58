"""Numbers and tensors by name for the C++ code; linear layers are packed in panels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import Stage
from models.decoder import Decoder
from models.embedder import Embedder
from models.network import Network
from models.sampling.board import Board, Raster

WIDEST: Final = 16
"""Numbers in the widest register of any CPU; widths must be multiples."""


class Layout(NamedTuple):
    """Layout of packed weights: panels of `lanes` outputs, with `group` neighbouring inputs side by side."""

    lanes: int
    group: int

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the products; sums are float32."""
        return torch.bfloat16 if self.group > 1 else torch.float32


def embedder_numbers(network: Network) -> dict[str, int]:
    """Return the sizes of a slice embedder and of its images by name."""
    geometry, decoder = network.geometry, network.decoder
    return {
        "side": decoder.slice_size,
        "subscale": geometry.subscale,
        "channels": geometry.channels,
        "coarse_bits": geometry.coarse_bits,
        "fine_bits": geometry.fine_bits,
        "depth": int(network.stage is Stage.DEPTH),
        "radius": geometry.radius,
        "width": decoder.widths.width,
        "blocks": len(network.embedder.blocks),
        "gates": decoder.condition.out_features,
    }


def embedder_tensors(network: Network, layout: Layout) -> dict[str, Tensor]:
    """Return the order of slices and the weights of an embedder by name."""
    embedder, decoder = network.embedder, network.decoder
    order = {"rank": network.ranks, "distance": decoder.distances, "spacing": embedder.spacings}
    return {**order, **embedder_weights(embedder, decoder, layout)}


def decoder_numbers(decoder: Decoder, board: Board) -> dict[str, int]:
    """Return the sizes of a decoder and of the board it works on by name."""
    widths, head = decoder.widths, decoder.head
    return {
        "rows": len(board.front),
        "lanes": board.lanes,
        "side": decoder.slice_size,
        "reach": widths.reach,
        "width": widths.width,
        "heads": widths.heads,
        "conv": widths.conv_width,
        "blocks": widths.blocks,
        "expansion": widths.expansion,
        "channels": head.channels,
        "symbols": head.symbols,
        "value_bits": decoder.value_bits,
    }


def decoder_tensors(decoder: Decoder, board: Board, raster: Raster, layout: Layout) -> dict[str, Tensor]:
    """Return the weights of a decoder, and the memory of the board it works on, by name."""
    return {**decoder_weights(decoder, layout), **memory(board, raster)}


def embedder_weights(embedder: Embedder, decoder: Decoder, layout: Layout) -> dict[str, Tensor]:
    """Return the weights of an embedder, and of the decoder's layers that read its output alone, by name."""
    blocks = (f"blocks.{i}.{part}" for i in range(len(embedder.blocks)) for part in ("spread", "mix"))
    layers = ["first", "sums.mix", *blocks]
    return {
        **packed_layers(embedder, layers, layout),
        **plain(embedder, ["last"]),
        **packed_layers(decoder, ["condition"], layout),
        "positions": decoder.positions().detach().contiguous(),
    }


def decoder_weights(decoder: Decoder, layout: Layout) -> dict[str, Tensor]:
    """Return the weights of all other layers of a decoder by name."""
    channels, blocks = range(decoder.head.channels), range(len(decoder.blocks))
    tables = [*(f"pixel.tables.{c}" for c in channels), *(f"head.earlier.{c}" for c in channels[:-1])]
    norms = [f"blocks.{i}.{norm}" for i in blocks for norm in ("near_norm", "far_norm", "feed_norm")]
    inner = ("narrow", "gates", "near_out", "qkv", "far_out", "feed.0", "feed.2")
    layers = ["first", *(f"blocks.{i}.{layer}" for i in blocks for layer in inner)]
    layers += ["head.hidden", *(f"head.out.{c}" for c in channels)]
    found = {**plain(decoder, [*tables, *norms, "head.norm", "pixel.number"]), **packed_layers(decoder, layers, layout)}
    found["pixel.number.weight"] = found["pixel.number.weight"].T.contiguous()  # (channels, P)
    return found


def plain(module: nn.Module, names: Iterable[str]) -> dict[str, Tensor]:
    """Return weight and, where there is one, bias of each named part as they are."""
    tensors = module.state_dict()
    keys = (f"{name}.{kind}" for name in names for kind in ("weight", "bias"))
    return {key: tensors[key] for key in keys if key in tensors}


def packed_layers(module: nn.Module, names: Iterable[str], layout: Layout) -> dict[str, Tensor]:
    """Return weight and bias of each named linear layer or convolution, packed."""
    tensors, found = module.state_dict(), {}
    for name in names:
        weight, bias = f"{name}.weight", f"{name}.bias"
        found[weight], found[bias] = packed(tensors[weight], tensors[bias], layout)
    return found


def packed(weight: Tensor, bias: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Return weights in panels, (panels, inputs / group, lanes, group), and the bias; zeros pad both to whole registers.

    A convolution's inputs are a window laid out by row, column, channel.
    """
    lanes, group = layout
    matrix = rearrange(weight, "o i ... -> o (... i)")
    outputs, inputs = (-length % lanes for length in matrix.shape)
    panels = rearrange(F.pad(matrix, (0, inputs, 0, outputs)), "(p l) (i g) -> p i l g", l=lanes, g=group)
    return panels.to(layout.dtype).contiguous(), F.pad(bias, (0, outputs))


def memory(board: Board, raster: Raster) -> dict[str, Tensor]:
    """Return the tensors of a board and its raster by name. The C++ code lays out keys and contents its own way."""
    caches = {"grids": board.grids, "keys": board.keys, "contents": board.contents}
    names = ("noise", "temperature", "guidance", "values", "pixels", "front", "seen", "pace")
    return {
        **board.conditioning._asdict(),
        **{name: getattr(board, name) for name in names},
        **{f"{name}.{layer}": cache for name, each in caches.items() for layer, cache in enumerate(each)},
        **{name: getattr(raster, name) for name in ("own", "previous", "taps")},
    }
