"""The composer: a glyph mask becomes an app icon, on a coloured tile or alone on white.

An image is composed from the mask at 64 x 64 or above and averaged down, so that every size shows the same drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.colours import PALETTE, Floats, fit, srgb
from training.data.vocabulary import NEUTRAL, Family, Tile

ImageArray = NDArray[np.uint8]
Mask = NDArray[np.uint8]

MASTER: Final = 128
"""Pixels along a mask."""

COMPOSED: Final = 64
"""The least side of a composed image in pixels; smaller images are averaged down from it."""

_INSET: Final = 2 / 64
_CORNER: Final = 15 / 64
_RAMP: Final = 64
_STEPS: Final = np.linspace(0.0, 1.0, _RAMP)[:, None]
_WHITE: Final = np.array([1.0, 0.0, 0.0])
_SUPERSAMPLES: Final = 8
_GLYPH: Final = {
    Family.ICONS: {Tile.CIRCLE: 0.66, Tile.ROUNDED: 0.74, Tile.SQUARE: 0.74, Tile.NONE: 1.0},
    Family.LETTERS: {Tile.CIRCLE: 0.80, Tile.ROUNDED: 0.92, Tile.SQUARE: 0.92, Tile.NONE: 1.15},
}
_LIGHT_GROUND: Final = 0.77
_MID_GROUND: Final = 0.64
_DEEP_SHARE: Final = 0.25
_TINT_SHARE: Final = 0.15


@dataclass(frozen=True, kw_only=True)
class Look:
    """How to show a glyph; `family` is icons or letters, `hue` a name of the palette."""

    family: Family
    hue: str
    tile: Tile


def compose(rng: np.random.Generator, mask: Mask, look: Look, *, size: int) -> ImageArray:
    """Return an image (size, size, 3) uint8 of the glyph `mask` (128, 128) with a look."""
    pixels = max(size, COMPOSED)
    scale = _GLYPH[look.family][look.tile] * rng.uniform(0.93, 1.05)
    glyph = placed(mask, scale=scale, offset=rng.uniform(-1, 1, 2) / 64, pixels=pixels).astype(np.float32)[..., None]
    ground, ink = _colours(rng, look.hue, alone=look.tile is Tile.NONE)
    paint = ground[_gradient(pixels, int(rng.integers(3)))]
    if look.tile is Tile.NONE:
        image = 255 + (paint - 255) * glyph
    else:
        image = 255 + (paint + (ink - paint) * glyph - 255) * _soft(look.tile, pixels)
    return box(np.rint(image).astype(np.uint8), size)


def placed(mask: Mask, *, scale: float, offset: Floats, pixels: int) -> Floats:
    """Return coverage (pixels, pixels) in 0..1 of a mask scaled about the centre and moved by fractions of the image."""
    rows = _resampled(mask / 255.0, pixels, scale=scale, shift=float(offset[0]))
    return _resampled(rows.T, pixels, scale=scale, shift=float(offset[1])).T


def box(images: ImageArray, size: int) -> ImageArray:
    """Return images (..., H, W, 3) averaged over whole blocks to (..., size, size, 3)."""
    side = images.shape[-2]
    if side == size:
        return images
    factor = side // size
    blocks = images.reshape(*images.shape[:-3], size, factor, size, factor, 3)
    total = blocks.sum(axis=(-4, -2), dtype=np.uint32)
    return np.asarray((total + factor * factor // 2) // (factor * factor), np.uint8)


@cache
def tile_mask(tile: Tile, pixels: int) -> Floats:
    """Return coverage (pixels, pixels) in 0..1 of the shape of a tile, antialiased; `Tile.NONE` covers nothing."""
    side = pixels * _SUPERSAMPLES
    across = np.abs((np.arange(side) + 0.5) / side - 0.5)
    reach = 0.5 - _INSET
    corner = {Tile.CIRCLE: reach, Tile.ROUNDED: _CORNER, Tile.SQUARE: 0.0, Tile.NONE: 0.0}[tile]
    past = np.maximum(across - (reach - corner), 0.0)
    inside = np.hypot(past[:, None], past[None, :]) <= corner
    if tile is Tile.NONE:
        inside[:] = False
    blocks = inside.reshape(pixels, _SUPERSAMPLES, pixels, _SUPERSAMPLES)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float64)


@cache
def _soft(tile: Tile, pixels: int) -> NDArray[np.float32]:
    """Return the coverage of a tile (pixels, pixels, 1)."""
    return tile_mask(tile, pixels).astype(np.float32)[..., None]


def _colours(rng: np.random.Generator, hue: str, *, alone: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a ground as a ramp (64, 3) from light to dark, and the ink (3,) of a glyph on it, in 0..255.

    With `alone` the ground must be visible on white.
    """
    regions = PALETTE[hue][:1] if alone else PALETTE[hue]
    region = regions[rng.integers(len(regions))]
    middle = np.array([rng.uniform(*region.lightness), rng.uniform(*region.chroma), rng.uniform(*region.degrees)])
    swing = np.array([rng.uniform(0.015, 0.05), 0.0, rng.uniform(-5, 5)])
    light, dark, ink = fit(np.stack([middle + swing, middle - swing, _ink(rng, middle, plain=hue == NEUTRAL)]))
    colours = srgb(np.concatenate([light + (dark - light) * _STEPS, ink[None]]))
    scaled = (colours * 255).astype(np.float32)
    return scaled[:-1], scaled[-1]


def _ink(rng: np.random.Generator, ground: Floats, *, plain: bool) -> Floats:
    """Return the ink in OKLCH: white on most grounds, dark on light ones, sometimes a tint of the hue of the ground."""
    choice = rng.random()
    deep = np.array([0.27, 0.01 if plain else 0.06, ground[2]])
    tint = np.array([0.95, 0.01 if plain else 0.045, ground[2]])
    if ground[0] > _LIGHT_GROUND or (ground[0] > _MID_GROUND and choice < _DEEP_SHARE):
        return deep
    return tint if ground[0] < _MID_GROUND and choice < _TINT_SHARE else _WHITE


@cache
def _gradient(pixels: int, direction: int) -> NDArray[np.int64]:
    """Return positions (pixels, pixels) in the ramp: downwards, or along either diagonal."""
    along = (np.arange(pixels) + 0.5) / pixels
    down, right = np.meshgrid(along, along, indexing="ij")
    steps = (down, (down + right) / 2, (down + 1 - right) / 2)[direction]
    return np.rint(steps * (_RAMP - 1)).astype(np.int64)


def _resampled(values: Floats, pixels: int, *, scale: float, shift: float) -> Floats:
    """Resample rows (n, m) to (pixels, m), each the exact mean over the area that it covers, zero outside.

    Running sums need no matrix product: no BLAS threads beside a trainer, and equal bytes on any processor.
    """
    source = len(values)
    edges = ((np.arange(pixels + 1) / pixels - 0.5 - shift) / scale + 0.5) * source
    inside = np.clip(edges, 0, source)
    cell = np.minimum(inside.astype(np.int64), source - 1)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    area = sums[cell] + (inside - cell)[:, None] * values[cell]  # (pixels + 1, m)
    return np.asarray(np.clip(np.diff(area, axis=0) * (pixels * scale / source), 0.0, 1.0), np.float64)
