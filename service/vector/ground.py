"""The ground of an image: the shape behind the glyph, fitted to where paint meets white."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from service.vector.closed_curves import thirds
from service.vector.paint import Floats, Where, largest_channel, places, robust_plane, spread

_PAINTED: Final = 8.0
_CROSSED: Final = 0.2
_LEAST_HALF: Final = 0.42
_OFF_CENTRE: Final = 1 / 32
_CENTRED: Final = 0.4 / 64
_RIM: Final = (1.0, 5.0)
_BAND: Final = 2.5
_ROUNDS: Final = 4
_EPSILON: Final = 1e-3
_OUTLIER: Final = 0.75
_UNEXPLAINED: Final = 0.3
_TOLERATED: Final = 0.12
_QUARTER: Final = 1 / 256
_WHOLE: Final = 1 / 64
_EIGHTH_ARC: Final = 4 / 3 * np.tan(np.pi / 16)
"""Length of the handles of an arc of an eighth turn. It is within 0.002 pixels of a circle in an image of 1,024 pixels."""


class GroundShape(StrEnum):
    """The shapes that a ground may have."""

    CIRCLE = "circle"
    ROUNDED = "rounded"
    SQUARE = "square"


_CORNERS: Final = (0.02, 0.26, 0.5, 0.98)
"""Radii of the corners from which the fit may begin, as shares of the reach."""

_SQUARE, _CIRCLE = 0.06, 0.93
"""Shares up to which a shape is a square, and from which it is a circle."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A shape about (`x`, `y`) that reaches `half` to each side, with corners of radius `corner`: all in pixels."""

    shape: GroundShape
    x: float
    y: float
    half: float
    corner: float

    def depth(self, side: int) -> Floats:
        """Return the distance of each pixel's middle to the outline, positive inside: (side, side)."""
        x, y = places(side)
        reach = self.half - self.corner
        right, down = np.abs(x - self.x) - reach, np.abs(y - self.y) - reach
        outside = np.hypot(np.maximum(right, 0.0), np.maximum(down, 0.0))
        return np.asarray(self.corner - outside - np.minimum(np.maximum(right, down), 0.0), np.float64)

    def coverage(self, side: int) -> Floats:
        """Return how far each pixel is covered: (side, side) in 0..1."""
        return np.clip(self.depth(side) + 0.5, 0.0, 1.0)

    def outline(self) -> Floats:
        """Return the outline as cubic segments (12, 4, 2), clockwise: two arcs for each corner, then the lines between them."""
        starts = np.exp(0.25j * np.pi * np.arange(8))  # x + iy
        ends = np.roll(starts, -1)
        arcs = np.stack([starts, starts * (1 + _EIGHTH_ARC * 1j), ends * (1 - _EIGHTH_ARC * 1j), ends], axis=1)
        middles = complex(self.x, self.y) + (self.half - self.corner) * (1 + 1j) * 1j ** (np.arange(8) // 2)
        arcs = middles[:, None] + self.corner * arcs
        placed = np.stack([arcs.real, arcs.imag], axis=-1)
        lines = thirds(placed[1::2, 3], np.roll(placed[::2, 0], -1, axis=0)).swapaxes(0, 1)
        return np.concatenate([placed, lines])

    def rim(self, side: int) -> Where:
        """Return the pixels just inside the outline, where there is seldom any glyph: (side, side)."""
        depth, unit = self.depth(side), side / 64
        return np.asarray((depth > _RIM[0] * unit) & (depth < _RIM[1] * unit))


def find_ground(pixels: Floats) -> Ground | None:
    """Return the shape that the paint of an image (S, S, 3) in 0..255 fills, or None: a glyph on white."""
    start = _extent(pixels)
    if start is None:
        return None
    firsts = [np.array([*start, share * start[2]]) for share in _CORNERS]
    side = len(pixels)
    found = _fitted(pixels, min(firsts, key=lambda each: _unexplained(pixels, _ground(each))))
    if max(abs(found.x - side / 2), abs(found.y - side / 2)) > _CENTRED * side or found.half < _LEAST_HALF * side:
        return None
    ground = _snapped(found, side)
    return ground if _unexplained(pixels, ground) < _TOLERATED else None


def _snapped(ground: Ground, side: int) -> Ground:
    """The ground in the middle, its reach in quarters of a 64th of the image, its corners in whole ones."""
    half = round(ground.half / side / _QUARTER) * _QUARTER * side
    corner = round(ground.corner / side / _WHOLE) * _WHOLE * side
    corner = {GroundShape.SQUARE: 0.0, GroundShape.CIRCLE: half}.get(ground.shape, corner)
    return Ground(shape=ground.shape, x=side / 2, y=side / 2, half=half, corner=corner)


def _extent(pixels: Floats) -> tuple[float, float, float] | None:
    """The middle and reach of what is painted, if that may be a ground: large, square and in the middle."""
    side = len(pixels)
    painted = largest_channel(255.0 - pixels) > _PAINTED
    rows, columns = (np.flatnonzero(painted.mean(axis=axis) > _CROSSED) for axis in (1, 0))
    if not rows.size or not columns.size:
        return None
    (top, bottom), (left, right) = ((float(each[0]), float(each[-1] + 1)) for each in (rows, columns))
    half, x, y = (bottom - top + right - left) / 4, (left + right) / 2, (top + bottom) / 2
    off = max(abs(x - side / 2), abs(y - side / 2), abs(right - left - bottom + top) / 2)
    return (x, y, half) if half > 0.9 * _LEAST_HALF * side and off < _OFF_CENTRE * side else None


def _fitted(pixels: Floats, values: Floats) -> Ground:
    """The ground by the method of Gauss and Newton, from the first x, y, half and corner on."""
    side = len(pixels)
    seen, band = _seen(pixels, _ground(values))
    for _ in range(_ROUNDS):
        now = _ground(values).coverage(side)[band]
        steps = [_ground(values + step).coverage(side)[band] for step in _EPSILON * np.eye(4)]
        slopes = (np.stack(steps, axis=1) - now[:, None]) / _EPSILON
        trusted = np.abs(seen - now) < _OUTLIER
        values = values + np.linalg.lstsq(slopes[trusted], (seen - now)[trusted], rcond=None)[0].clip(-1.0, 1.0)
    return _ground(values)


def _unexplained(pixels: Floats, ground: Ground) -> float:
    """Return the share of the pixels along the outline that are not as the ground would have them."""
    seen, band = _seen(pixels, ground)
    return float((np.abs(seen - ground.coverage(len(pixels))[band]) > _UNEXPLAINED).mean())


def _seen(pixels: Floats, ground: Ground) -> tuple[Floats, Where]:
    """How far paint covers the pixels near a ground's outline, and which those are."""
    side = len(pixels)
    rim = ground.rim(side)
    band = np.abs(ground.depth(side)) < _BAND
    tone = 255.0 - spread(robust_plane(pixels, rim, rim), side)[band]
    share = ((255.0 - pixels[band]) * tone).sum(axis=-1) / np.maximum((tone**2).sum(axis=-1), 1.0)
    return np.clip(share, 0.0, 1.0), band


def _ground(values: Floats) -> Ground:
    """The ground of x, y, half and corner (4,)."""
    x, y, half, corner = values.tolist()
    corner = min(max(corner, 0.0), half)
    shape = GroundShape.ROUNDED
    if corner < _SQUARE * half:
        shape = GroundShape.SQUARE
    elif corner > _CIRCLE * half:
        shape = GroundShape.CIRCLE
    return Ground(shape=shape, x=x, y=y, half=half, corner=corner)
