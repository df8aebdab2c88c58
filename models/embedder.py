"""The slice embedder: the known part of the image, seen from the target slice (arXiv:1812.01608, figure 7)."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from models.attention import wide
from models.config import Control, Geometry, Stage, Widths
from models.layers import Table

ABSENT = -1
"""Mark of an unknown sub-pixel."""


class Known(NamedTuple):
    """An image without everything that a stage may not see before slice k.

    coarse, fine: (B, H, W, C) int64, ABSENT where hidden. value: in the units of the stage's
    predictions, coarse values for base and size, full values for depth.
    """

    coarse: Tensor
    fine: Tensor
    value: Tensor


def visible(  # noqa: PLR0913 - by name
    coarse: Tensor, fine: Tensor, k: Tensor, *, ranks: Tensor, stage: Stage, geometry: Geometry
) -> Known:
    """Hide what comes at or after slice `k`, (B,), in `stage`. Only this function knows the order of slices.

    `ranks`: (K,), those of the geometry.
    """
    whole = ranks.view(geometry.subscale, -1).repeat(geometry.slice_size, geometry.slice_size)  # (H, W), of each pixel
    earlier = (whole < ranks[k][:, None, None])[..., None]
    if stage is not Stage.DEPTH:
        coarse = torch.where(earlier, coarse, ABSENT)
        return Known(coarse, torch.full_like(fine, ABSENT), coarse)
    full = (coarse << geometry.fine_bits) | fine
    return Known(coarse, torch.where(earlier, fine, ABSENT), torch.where(earlier, full, ABSENT))


def windows(image: Tensor, k: Tensor, geometry: Geometry, *, distance: Tensor, radius: int) -> Tensor:
    """Return for each pixel of slice k the pixels of (B, H, W, F) around it: `radius` on each side, `distance`, (B,), apart.

    They lie side by side, (B, h * across, w * across, F) with across = 2 * radius + 1; ABSENT outside the image.
    """
    size, s, device = image.shape[1], geometry.subscale, k.device
    away = distance[:, None, None] * torch.arange(-radius, radius + 1, device=device)
    along = (torch.arange(0, size, s, device=device)[:, None] + away).flatten(1)  # (B, h * across)
    rows, columns = (1 + (along + first[:, None]).clamp(-1, size) for first in (k // s, k % s))
    padded = F.pad(image, (0, 0, 1, 1, 1, 1), value=ABSENT)
    batch = torch.arange(len(k), device=device)
    return padded[batch[:, None, None], rows[:, :, None], columns[:, None, :]]


def by_slice(entries: tuple[int, ...]) -> nn.Buffer:
    """Return a table by slice, (K,) int64, that moves with its module: one made in a call is copied from the host each time."""
    return nn.Buffer(torch.tensor(entries), persistent=False)


class ResidualConvolution(nn.Module):
    """Pre-activation residual block over the slice; it sees one pixel further on each side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D, h, w) to (B, D, h, w)."""
        out: Tensor = x + self.mix(F.gelu(self.spread(F.gelu(x))))
        return out


class DirectionalSums(nn.Module):
    """Pre-activation residual branch over all positions to the left, right, above and below; zero at first.

    Convolutions see a few positions around. But the level of a ground depends on the distance to the next step of its coarse
    value, which may be at the other side of the image (docs/decisions/025).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(4 * width, width, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(cast("Tensor", self.mix.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D, h, w) to (B, D, h, w). The sums are divided by the side, and have the own position in them."""
        active = F.gelu(x).to(wide(x.dtype)) / x.shape[-1]
        ahead = [active.cumsum(axis) for axis in (-1, -2)]
        back = [active.flip(axis).cumsum(axis).flip(axis) for axis in (-1, -2)]
        out: Tensor = x + self.mix(torch.cat([ahead[0], back[0], ahead[1], back[1]], 1))
        return out


class ControlMaps(nn.Module):
    """A learned map over the slice for each value of some controls: the layout, before the first pixel.

    With a vector alone, the same at every position, the decoder has to learn the layout, and learns it late.
    """

    def __init__(self, geometry: Geometry, controls: tuple[Control, ...], widths: Widths) -> None:
        super().__init__()
        self.channels = widths.map_channels
        self.columns = [i for i, control in enumerate(controls) if control.name in widths.maps]
        area = geometry.positions * self.channels
        self.tables = nn.ModuleList(Table(len(controls[i].values) + 1, area) for i in self.columns)
        self.join = nn.Linear(len(self.columns) * self.channels, widths.width)

    def forward(self, controls: Tensor) -> Tensor:
        """Map controls (B, n_controls) int64 to (B, N, D)."""
        maps = [table(controls[:, i]) for i, table in zip(self.columns, self.tables, strict=True)]
        out: Tensor = self.join(torch.cat([rearrange(each, "b (n f) -> b n f", f=self.channels) for each in maps], -1))
        return out


class Embedder(nn.Module):
    """Embedding of known image, slice index and controls: one vector per position of the target slice.

    The first layer reads the window around each target pixel. The same weight always sees the same offset, which is a
    superset of concatenating earlier slices. Absent sub-pixels are zero with a flag of their own. In interlaced order the
    pixels of the window are as far apart as the known ones; for depth they are adjacent, since all coarse values are known.
    """

    def __init__(self, geometry: Geometry, stage: Stage, controls: tuple[Control, ...], widths: Widths) -> None:
        super().__init__()
        self.geometry = geometry
        self.spacings = by_slice((1,) * geometry.slices if stage is Stage.DEPTH else geometry.distances)
        self.kinds = by_slice(geometry.kinds)
        planes, across = 3 * geometry.channels + 2, 2 * geometry.radius + 1  # known value, coarse, fine; two flags
        self.first = nn.Conv2d(planes, widths.width, across, stride=across)
        self.meta_position = Table(geometry.kind_count, widths.width)
        self.controls = nn.ModuleList(Table(len(c.values) + 1, widths.width) for c in controls)
        self.maps = ControlMaps(geometry, controls, widths) if widths.maps else None
        self.sums = DirectionalSums(widths.width)
        self.blocks = nn.Sequential(*(ResidualConvolution(widths.width) for _ in range(widths.embedder_blocks)))
        self.last = nn.LayerNorm(widths.width)

    def forward(self, known: Known, k: Tensor, controls: Tensor) -> Tensor:
        """Return (B, N, D). `k`: (B,), `controls`: (B, n_controls), both int64."""
        g, context = self.geometry, self.context(k, controls)
        seen = windows(self._planes(known), k, g, distance=self.spacings[k], radius=g.radius)
        x = self.first(rearrange(seen, "b h w f -> b f h w"))
        x = self.blocks(self.sums(x + rearrange(context, "b (h w) d -> b d h w", h=x.shape[-2])))
        out: Tensor = self.last(rearrange(x, "b d h w -> b (h w) d") + context)
        return out

    def context(self, k: Tensor, controls: Tensor) -> Tensor:
        """Return an embedding of slice index and controls for each position: (B, N, D)."""
        vector: Tensor = self.meta_position(self.kinds[k]) + sum(e(controls[:, i]) for i, e in enumerate(self.controls))
        everywhere = vector[:, None].expand(-1, self.geometry.positions, -1)
        return everywhere if self.maps is None else everywhere + self.maps(controls)

    def _planes(self, known: Known) -> Tensor:
        """Return (B, H, W, 3C + 2): numbers in [-1, 1] where known, else 0; flags 1 where known, else -1."""
        g, dtype = self.geometry, self.meta_position.weight.dtype
        has_coarse, has_fine = known.coarse >= 0, known.fine >= 0
        middle = torch.where(has_fine, known.fine, 1 << (g.fine_bits - 1))
        best = (known.coarse << g.fine_bits) + middle
        numbers = [
            torch.where(has, scaled(values, bits, dtype), 0)
            for has, values, bits in (
                (has_coarse, best, g.bits),
                (has_coarse, known.coarse, g.coarse_bits),
                (has_fine, known.fine, g.fine_bits),
            )
        ]
        flags = [has[..., :1].to(dtype) * 2 - 1 for has in (has_coarse, has_fine)]
        return torch.cat([*numbers, *flags], -1)


def scaled(values: Tensor, bits: int, dtype: torch.dtype) -> Tensor:
    """Map integers of `bits` bits to numbers in [-1, 1]."""
    return values.to(dtype) * (2 / ((1 << bits) - 1)) - 1
