"""The look of an image: the shape and the hue of its tile.

Every tile contains the circle. So there is a tile if nearly all of the rim of the circle or of the rounded square is painted.
A wide letter may cross the rim of the circle. Two points on each diagonal decide which tile it is: the square is painted at
both, the rounded square at the inner one, the circle at neither.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.subscale import Bytes
from training.data.colours import dominant_hue, hue_of
from training.data.tiles import tile_mask
from training.data.vocabulary import Tile

WHITE: Final = 249
"""A pixel whose every channel is above this is white."""

_OUTER_CORNER: Final = 3 / 64
_INNER_CORNER: Final = 7.5 / 64
_RIM: Final = 5
_THIN: Final = 2
_CLOSED: Final = 0.96


def tile_of(image: Bytes) -> Tile:
    """Return the shape of the tile in an image (H, W, 3)."""
    painted = image.min(axis=-1) <= WHITE
    views = [np.rot90(painted, turn) for turn in range(4)]
    outlines = (rim(Tile.CIRCLE, len(image)), rim(Tile.ROUNDED, len(image), _THIN))
    if all(painted[outline].mean() < _CLOSED for outline in outlines):
        return Tile.NONE
    if _corners(views, _OUTER_CORNER):
        return Tile.SQUARE
    return Tile.ROUNDED if _corners(views, _INNER_CORNER) else Tile.CIRCLE


def tile_hue(image: Bytes, tile: Tile) -> str:
    """Return the name of the mean colour of the rim of a tile; without a tile, the hue that covers most of the image."""
    if tile is Tile.NONE:
        return dominant_hue(image)
    return hue_of(image[rim(tile, len(image))].mean(axis=0) / 255.0)


def hues(images: Bytes) -> list[str]:
    """Return the hue of each image (n, H, W, 3)."""
    return [tile_hue(image, tile_of(image)) for image in images]


def tiles(images: Bytes) -> list[str]:
    """Return the tile of each image (n, H, W, 3)."""
    return [tile_of(image).value for image in images]


@cache
def rim(tile: Tile, pixels: int, depth: int = _RIM) -> NDArray[np.bool_]:
    """Return where (pixels, pixels) a tile nearly always shows its ground: within `depth` / 64 inside its outline."""
    inside = tile_mask(tile, pixels) == 1
    inner = inside
    for _ in range(depth * pixels // 64):
        inner = inner & _shifted(inner, 0) & _shifted(inner, 1)
    return np.asarray(inside & ~inner)


def _corners(views: list[NDArray[np.bool_]], depth: float) -> bool:
    """Return whether at least half of the corners are painted at `depth` along the diagonal."""
    at = int(depth * len(views[0]))
    return 2 * sum(bool(view[at, at]) for view in views) >= len(views)


def _shifted(inside: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Return where an area has neighbours on both sides along an axis."""
    return np.asarray(np.roll(inside, 1, axis) & np.roll(inside, -1, axis))
