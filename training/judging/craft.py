"""How well an image is drawn, whatever it shows: wobbling edges, speckles, uneven fills.

All lengths are in 64ths of the side of the image, so that sizes can be compared. A measure has a meaning only beside the
same measure of real held-out images (training/judging/keepers.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from models.subscale import Bytes
from training.data.tiles import tile_mask
from training.data.vocabulary import Tile
from training.judging.contours import area, contours, evenly, length
from training.judging.glyph_recovery import Floats, RecoveredGlyph, grown, residual

UNIT: Final = 64
"""Lengths are in this fraction of the side of the image."""

_SPACING: Final = 0.5
_REACH: Final = 4
_SHARE: Final = 0.8
_LEAST_LENGTH: Final = 10.0
_SIGNIFICANT: Final = 6.0
_TRACE: Final = 0.2
_CLEAR: Final = 2


@dataclass(frozen=True, kw_only=True)
class Craft:
    """Three faults of one image, 0 for none.

    - `wobble`: a fifth of the contour is farther than this from its own smoothing, in 64ths
    - `speckle`: area of islands and holes too small to mean anything, in 64ths squared
    - `fill`: root mean square distance of ground and ink from their fitted paints, in levels of 255
    """

    wobble: float
    speckle: float
    fill: float


FAULTS: Final = ("wobble", "speckle", "fill")
"""Names of the measures, in the order of `Craft`."""


def craft(image: Bytes, recovered: RecoveredGlyph, tile: Tile) -> Craft:
    """Return the faults of an image (S, S, 3) whose glyph is recovered."""
    return Craft(
        wobble=wobble(recovered.coverage),
        speckle=speckle(recovered.coverage) + strays(image, tile),
        fill=fill(image, recovered),
    )


def wobble(coverage: Floats) -> float:
    """Return the distance of the half-covered contour from a parabola fitted along 4 64ths of it, 80th percentile.

    A parabola follows lines and bows; a percentile ignores the few corners. Reach and percentile separate 36 letters of the
    first shipped weights from 300 real ones best. 0.954 of all pairs are in the right order, and 0.865 to 0.876 with the
    median and twice the reach.
    """
    unit = len(coverage) / UNIT
    far = [
        np.hypot(*(_smoothed(points) - points).T)
        for curve in contours(coverage)
        if length(curve) >= _LEAST_LENGTH * unit and (points := evenly(curve, _SPACING * unit)).any()
    ]
    return float(np.quantile(np.concatenate(far), _SHARE)) / unit if far else 0.0


def speckle(coverage: Floats) -> float:
    """Return the area of islands of slight ink and of holes of slight ground that are too small to mean anything."""
    unit = len(coverage) / UNIT
    islands = [area(curve) / unit**2 for curve in contours(coverage, _TRACE)]
    holes = [area(curve) / unit**2 for curve in contours(coverage, 1 - _TRACE)]
    return sum(a for a in islands if 0 < a < _SIGNIFICANT) - sum(a for a in holes if -_SIGNIFICANT < a < 0)


def strays(image: Bytes, tile: Tile) -> float:
    """Return the area of paint outside the tile, in 64ths squared; zero without a tile."""
    if tile is Tile.NONE:
        return 0.0
    outside = ~grown(tile_mask(tile, len(image)) > 0, 1)
    darkness = 1.0 - image[outside].min(axis=-1) / 255.0
    return float(darkness[darkness > _TRACE].sum()) * (UNIT / len(image)) ** 2


def fill(image: Bytes, recovered: RecoveredGlyph) -> float:
    """Return how far flat areas are from flat: the ground away from ink, and the ink away from its edges."""
    slight = recovered.coverage < _TRACE
    inked = ~slight
    ground = recovered.inside & slight & ~grown(recovered.coverage > 0.5, _CLEAR)  # noqa: PLR2004 - half covered
    core = inked & ~grown(recovered.coverage < 0.5, _CLEAR)  # noqa: PLR2004 - as above
    squares = [
        (residual(image, paint, where) ** 2 * where.sum(), int(where.sum()))
        for paint, where in ((recovered.ground, ground), (recovered.ink, core))
    ]
    return float(np.sqrt(sum(total for total, _ in squares) / max(1, sum(count for _, count in squares))))


def _smoothed(points: Floats) -> Floats:
    """Return each point of a closed curve (n, 2) moved on the parabola that fits its neighbours best."""
    reach = min(_REACH, (len(points) - 1) // 2)
    weights = _parabola(reach)
    shifted = [np.roll(points, -offset, axis=0) for offset in range(-reach, reach + 1)]
    return np.asarray(sum(weight * each for weight, each in zip(weights, shifted, strict=True)), np.float64)


@cache
def _parabola(reach: int) -> Floats:
    """Return the weights of the middle of the least-squares parabola (Savitzky and Golay, 1964): (2 * reach + 1,)."""
    at = np.arange(-reach, reach + 1, dtype=np.float64)
    return np.asarray(np.linalg.pinv(np.vander(at, 3, increasing=True))[0], np.float64)
