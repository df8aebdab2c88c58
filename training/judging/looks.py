"""What a picture shows of the controls it was asked for: the shape and the hue of its tile.

A tile is told from the picture alone. Every tile holds the circle, so there is a tile where nearly all of the circle's rim
is painted, or all of the rounded square's: a wide letter may cross the circle's. Which tile it is, two points on each
diagonal say: the square is painted at both, the rounded square at the inner one, the circle at neither.
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


def tile_of(picture: Bytes) -> Tile:
    """The shape of the tile in a picture (H, W, 3)."""
    painted = picture.min(axis=-1) <= WHITE
    views = [np.rot90(painted, turn) for turn in range(4)]
    outlines = (rim(Tile.CIRCLE, len(picture)), rim(Tile.ROUNDED, len(picture), _THIN))
    if all(painted[outline].mean() < _CLOSED for outline in outlines):
        return Tile.NONE
    if _corners(views, _OUTER_CORNER):
        return Tile.SQUARE
    return Tile.ROUNDED if _corners(views, _INNER_CORNER) else Tile.CIRCLE


def tile_hue(picture: Bytes, tile: Tile) -> str:
    """The name of the mean colour along a tile's rim; without a tile, of the hue that covers most of the picture."""
    if tile is Tile.NONE:
        return dominant_hue(picture)
    return hue_of(picture[rim(tile, len(picture))].mean(axis=0) / 255.0)


@cache
def rim(tile: Tile, pixels: int, depth: int = _RIM) -> NDArray[np.bool_]:
    """Where (pixels, pixels) a tile is ground in nearly every picture: inside it, within `depth` / 64 of its outline."""
    inside = tile_mask(tile, pixels) == 1
    inner = inside
    for _ in range(depth * pixels // 64):
        inner = inner & _shifted(inner, 0) & _shifted(inner, 1)
    return np.asarray(inside & ~inner)


def _corners(views: list[NDArray[np.bool_]], depth: float) -> bool:
    """Whether at least half of the corners are painted at `depth` along the diagonal."""
    at = int(depth * len(views[0]))
    return 2 * sum(bool(view[at, at]) for view in views) >= len(views)


def _shifted(inside: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Inside on both sides along an axis."""
    return np.asarray(np.roll(inside, 1, axis) & np.roll(inside, -1, axis))
