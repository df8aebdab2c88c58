"""The glyph of an image, recovered: how far ink covers each pixel, and how far flat areas are from flat.

The composer lays one ink over a ground with a linear gradient, or a glyph with a gradient over white (training/data/tiles.py).
So a known tile, a robust linear fit and a projection on the line from ground to ink give the coverage back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.subscale import Bytes
from training.data.tiles import tile_mask
from training.data.vocabulary import Tile
from training.judging.looks import rim

Floats = NDArray[np.float64]
Where = NDArray[np.bool_]

_FITS: Final = 4
_NEAR: Final = 8 / 255
_STRONG: Final = 0.8

FAINT: Final = 0.12
"""Ink that differs less than this from its ground cannot be seen: length of the difference in RGB, 0..1 each."""

EMPTY: Final = 0.004
"""Less covered than this share of the image there is no glyph."""


@dataclass(frozen=True, kw_only=True)
class RecoveredGlyph:
    """What was composed, as far as the image shows it.

    - `coverage` (S, S) in 0..1 of ink
    - `ground` and `ink` (S, S, 3): the fitted paint below it and of it
    - `inside` (S, S): where the ground is, which is the tile, or the whole of an image without one
    """

    coverage: Floats
    ground: Floats
    ink: Floats
    inside: Where

    @property
    def blank(self) -> bool:
        """Whether there is no glyph: almost no ink, or ink of almost the colour of its ground."""
        return self.contrast < FAINT or float(self.coverage.mean()) < EMPTY

    @property
    def contrast(self) -> float:
        """The mean distance of ink and ground in RGB."""
        return float(np.linalg.norm(self.ink - self.ground, axis=-1).mean())


def recover(image: Bytes, tile: Tile) -> RecoveredGlyph:
    """Return the glyph over the ground of an image (S, S, 3) whose tile is known."""
    pixels = image / 255.0
    if tile is Tile.NONE:
        ground = np.ones_like(pixels)
        inside = np.ones(pixels.shape[:2], np.bool_)
        ink = _paint(pixels, _strong(pixels - ground, inside))
    else:
        inside = np.asarray(tile_mask(tile, len(pixels)) == 1)
        ground = _ground(pixels, inside, rim(tile, len(pixels)))
        strong = _strong(pixels - ground, inside)
        ink = np.broadcast_to(np.median(pixels[strong], axis=0), pixels.shape)
    across = ink - ground
    reach = np.maximum((across**2).sum(axis=-1), 1e-6)
    coverage = np.clip(((pixels - ground) * across).sum(axis=-1) / reach, 0.0, 1.0)
    return RecoveredGlyph(coverage=np.where(inside, coverage, 0.0), ground=ground, ink=ink, inside=inside)


def residual(image: Bytes, paint: Floats, where: Where) -> float:
    """Return the distance of an image from a fitted paint: root mean square over `where`, in levels of 255."""
    if not where.any():
        return 0.0
    return float(np.sqrt(np.mean((image[where] - paint[where] * 255.0) ** 2)))


def linear(pixels: Floats, where: Where) -> Floats:
    """Return the least-squares plane through the pixels `where`, per channel: (S, S, 3)."""
    basis = _basis(len(pixels))
    chosen = basis[where]
    gram = chosen.T @ chosen + 1e-6 * np.eye(3)
    return np.asarray(basis @ np.linalg.solve(gram, chosen.T @ pixels[where]), np.float64)


def grown(where: Where, pixels: int) -> Where:
    """Return an area with a margin of `pixels`, corners included."""
    for _ in range(pixels):
        framed = np.pad(where, 1)
        rows = framed[:-2] | framed[1:-1] | framed[2:]
        where = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return where


def _ground(pixels: Floats, inside: Where, start: Where) -> Floats:
    """Return the plane of the ground: first through the rim, then through all pixels near that plane."""
    where = start
    for _ in range(_FITS):
        ground = linear(pixels, where)
        far = np.abs(pixels - ground).max(axis=-1)
        near = inside & (far < max(_NEAR, 3 * float(np.median(far[where]))))
        where = near if near.sum() > start.sum() // 2 else start
    return linear(pixels, where)


def _paint(pixels: Floats, core: Where) -> Floats:
    """Return the plane of the paint of a glyph: through its full pixels, without outliers."""
    paint = linear(pixels, core)
    far = np.abs(pixels - paint).max(axis=-1)
    near = core & (far <= max(_NEAR, 2 * float(np.median(far[core]))))
    return linear(pixels, near)


def _strong(difference: Floats, inside: Where) -> Where:
    """Return where ink probably covers the whole pixel: the difference is near the largest frequent one."""
    strength = np.where(inside, np.linalg.norm(difference, axis=-1), 0.0)
    inked = strength[strength > FAINT]
    full = np.quantile(inked, _STRONG) if inked.size else strength.max()
    return np.asarray(inside & (strength >= _STRONG * full))


@cache
def _basis(side: int) -> Floats:
    along = np.linspace(-1.0, 1.0, side)
    down, right = np.meshgrid(along, along, indexing="ij")
    return np.stack([np.ones_like(down), down, right], axis=-1)
