"""The weights of a decoder as the kernel reads them: inputs before outputs, widths padded with zeros to powers of two."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from models.decoder import Decoder

NARROWEST = 16
"""The fewest columns that a matrix instruction takes."""


class Weights(NamedTuple):
    """The weights of a decoder, inputs before outputs, padded; L blocks, h heads, e parts of the feed-forward layer.

    - tables (C, V, P); number (C, P); first (T, P, D); earlier (C, C, V, D): from a channel's symbol to a later channel
    - norm (L * 3, 2, D): weight and bias of each norm of a block; last_norm (2, D)
    - narrow (L, D, P); gates (L, 2, T + 1, P, D); near_out (L, D, D)
    - qkv (L, 3, h, D, d); far_out (L, h, d, D); feed_in, feed_out (L, e, D, D)
    - hidden (C, D, D); out (C, 1 + J, D, V)

    Factors of products are in their dtype, everything else is float32.
    """

    tables: Tensor
    number: Tensor
    number_bias: Tensor
    first: Tensor
    first_bias: Tensor
    norm: Tensor
    narrow: Tensor
    narrow_bias: Tensor
    gates: Tensor
    gates_bias: Tensor
    near_out: Tensor
    near_out_bias: Tensor
    qkv: Tensor
    qkv_bias: Tensor
    far_out: Tensor
    far_out_bias: Tensor
    feed_in: Tensor
    feed_in_bias: Tensor
    feed_out: Tensor
    feed_out_bias: Tensor
    last_norm: Tensor
    hidden: Tensor
    hidden_bias: Tensor
    out: Tensor
    out_bias: Tensor
    earlier: Tensor

    @classmethod
    def of(cls, decoder: Decoder, dtype: torch.dtype) -> Self:
        """Return the weights of a decoder with factors of products in `dtype`."""
        widths, channels = decoder.widths, range(decoder.head.channels)
        conv, depth, head, parts = (
            widths.conv_width,
            widths.width // widths.heads,
            decoder.head,
            1 + decoder.head.kernels,
        )
        d, p, v = padded(widths.width), padded(conv), padded(decoder.symbols)

        def own(name: str, pattern: str, *sizes: int, **lengths: int) -> Tensor:
            """Return one parameter of the decoder, rearranged and padded."""
            return fitted(rearrange(decoder.get_parameter(name), pattern, **lengths), *sizes)

        def each(name: str, pattern: str, *sizes: int, **lengths: int) -> Tensor:
            """Return one parameter of every block."""
            return torch.stack([own(f"blocks.{i}.{name}", pattern, *sizes, **lengths) for i in range(widths.blocks)])

        def norm(name: str) -> Tensor:
            return torch.stack([own(f"{name}.weight", "d -> d", d), own(f"{name}.bias", "d -> d", d)])

        norms = ("near_norm", "far_norm", "feed_norm")
        return cls(
            tables=torch.stack([own(f"pixel.tables.{c}.weight", "v p -> v p", p) for c in channels]),
            number=own("pixel.number.weight", "p c -> c p", p),
            number_bias=own("pixel.number.bias", "p -> p", p),
            first=own("first.weight", "d (t p) -> t p d", p, d, p=conv).to(dtype),
            first_bias=own("first.bias", "d -> d", d),
            norm=torch.stack([norm(f"blocks.{i}.{name}") for i in range(widths.blocks) for name in norms]),
            narrow=each("narrow.weight", "p d -> d p", d, p).to(dtype),
            narrow_bias=each("narrow.bias", "p -> p", p),
            gates=each("gates.weight", "(two d) (t p) -> two t p d", p, d, two=2, p=conv).to(dtype),
            gates_bias=each("gates.bias", "(two d) -> two d", d, two=2),
            near_out=each("near_out.weight", "o i -> i o", d, d).to(dtype),
            near_out_bias=each("near_out.bias", "o -> o", d),
            qkv=each("qkv.weight", "(three a o) i -> three a i o", d, depth, three=3, a=widths.heads).to(dtype),
            qkv_bias=each("qkv.bias", "(three a o) -> three a o", depth, three=3, a=widths.heads),
            far_out=each("far_out.weight", "o (a i) -> a i o", depth, d, a=widths.heads).to(dtype),
            far_out_bias=each("far_out.bias", "o -> o", d),
            feed_in=each("feed.0.weight", "(e o) i -> e i o", d, d, e=widths.expansion).to(dtype),
            feed_in_bias=each("feed.0.bias", "(e o) -> e o", d, e=widths.expansion),
            feed_out=each("feed.2.weight", "o (e i) -> e i o", d, d, e=widths.expansion).to(dtype),
            feed_out_bias=each("feed.2.bias", "o -> o", d),
            last_norm=norm("head.norm"),
            hidden=own("head.hidden.weight", "(c o) i -> c i o", d, d, c=head.channels).to(dtype),
            hidden_bias=own("head.hidden.bias", "(c o) -> c o", d, c=head.channels),
            out=torch.stack(
                [own(f"head.out.{c}.weight", "(j v) d -> j d v", d, v, j=parts) for c in channels],
            ).to(dtype),
            out_bias=torch.stack([own(f"head.out.{c}.bias", "(j v) -> j v", v, j=parts) for c in channels]),
            earlier=fitted(earlier_tables(decoder), d),
        )


def padded(width: int) -> int:
    """Return the width of a tensor of the kernel: a power of two."""
    return max(NARROWEST, 1 << (width - 1).bit_length())


def fitted(tensor: Tensor, *sizes: int) -> Tensor:
    """Pad the last dimensions with zeros to `sizes`."""
    missing = [size - length for size, length in zip(sizes, tensor.shape[-len(sizes) :], strict=True)]
    return F.pad(tensor.detach(), [each for size in reversed(missing) for each in (0, size)]).contiguous()


def earlier_tables(decoder: Decoder) -> Tensor:
    """Return the table from a channel's symbols to each later channel's hidden numbers, (C, C, V, D); others are zero."""
    channels, width = decoder.head.channels, decoder.widths.width
    found = decoder.first.weight.new_zeros(channels, channels, decoder.symbols, width)
    for channel in range(channels - 1):
        table = decoder.get_parameter(f"head.earlier.{channel}.weight")
        found[channel, channel + 1 :] = rearrange(table, "v (c d) -> c v d", d=width)
    return found
