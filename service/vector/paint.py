"""The colour of a part of an image: flat, or a linear gradient, fitted to its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Where = NDArray[np.bool_]
Colour = tuple[int, int, int]
Spot = tuple[float, float]

_ROUNDS: Final = 4
_NEAR: Final = 8.0
_FLAT: Final = 3.0
_PLAIN: Final = 4.0
_EIGHTHS: Final = np.arange(8) * np.pi / 4
_TURN: Final = np.pi / 10
_DOWNWARDS: Final = np.array([0.6, 1.0])


@dataclass(frozen=True, kw_only=True)
class Paint:
    """A linear gradient from the colour `start` at `origin` to `stop` at `end`; flat if both colours are equal.

    Colours are (red, green, blue) in 0..255; positions are (x, y) in pixels.
    """

    start: Colour
    stop: Colour
    origin: Spot
    end: Spot

    @property
    def flat(self) -> bool:
        """Whether there is one colour only."""
        return self.start == self.stop

    @property
    def middle(self) -> Colour:
        """The colour in the middle."""
        red, green, blue = (round((a + b) / 2) for a, b in zip(self.start, self.stop, strict=True))
        return red, green, blue

    def over(self, side: int) -> Floats:
        """Return the colours of side x side pixels: (side, side, 3) in 0..255."""
        start, stop = np.array(self.start, np.float64), np.array(self.stop, np.float64)
        if self.flat:
            return np.broadcast_to(start, (side, side, 3))
        axis = np.subtract(self.end, self.origin)
        x, y = places(side)
        along = ((x - self.origin[0]) * axis[0] + (y - self.origin[1]) * axis[1]) / (axis @ axis)
        return np.asarray(start + np.clip(along, 0.0, 1.0)[..., None] * (stop - start), np.float64)


@cache
def places(side: int) -> tuple[Floats, Floats]:
    """Return x and y (side, side) of the middle of each pixel."""
    middles = np.arange(side) + 0.5
    x, y = np.meshgrid(middles, middles)
    return x, y


def plane(pixels: Floats, where: Where) -> Floats:
    """Return the least-squares plane through the pixels `where` (S, S, 3), per channel: (3, 3), rows 1, x, y."""
    basis = _basis(len(pixels))[where]
    gram = basis.T @ basis + 1e-6 * np.eye(3)
    return np.asarray(np.linalg.solve(gram, basis.T @ pixels[where]), np.float64)


def robust_plane(pixels: Floats, where: Where, within: Where) -> Floats:
    """Return the plane (3, 3) through `where`, then through all pixels `within` that lie near it."""
    chosen, least = where, int(where.sum()) // 2
    for _ in range(_ROUNDS):
        far = largest_channel(np.abs(pixels - spread(plane(pixels, chosen), len(pixels))))
        near = within & (far < max(_NEAR, 3 * float(np.median(far[chosen]))))
        chosen = near if near.sum() > least else where
    return plane(pixels, chosen)


def spread(coefficients: Floats, side: int) -> Floats:
    """Return the colours of a plane (3, 3): (side, side, 3)."""
    return np.asarray(_basis(side) @ coefficients, np.float64)


def largest_channel(pixels: Floats) -> Floats:
    """Return the largest value of each pixel (S, S, 3): (S, S). `max` along an axis of three takes seven times as long."""
    return np.asarray(np.maximum.reduce([*np.moveaxis(pixels, -1, 0)]), np.float64)


def gradient(coefficients: Floats, where: Where) -> Paint:
    """Return the gradient nearest to a plane (3, 3) over the pixels `where`. A direction near an eighth turn is that."""
    side = len(where)
    x, y = (each[where] for each in places(side))
    slopes = coefficients[1:] / side  # (2, 3) per pixel
    direction = _direction(slopes)
    centre = np.array([(x.min() + x.max()) / 2, (y.min() + y.max()) / 2])
    reach = float(np.abs((x - centre[0]) * direction[0] + (y - centre[1]) * direction[1]).max()) + 0.5
    middle, swing = coefficients[0] + (centre - side / 2) @ slopes, direction @ slopes * reach
    swing = swing if np.abs(swing).max() > _FLAT / 2 else np.zeros(3)
    origin, end = centre - direction * reach, centre + direction * reach
    return Paint(start=colour(middle - swing), stop=colour(middle + swing), origin=spot(origin), end=spot(end))


def plain(tone: Colour, side: int) -> Paint:
    """Return one flat colour, which a gradient would run through from top to bottom."""
    return Paint(start=tone, stop=tone, origin=(side / 2, 0.0), end=(side / 2, float(side)))


def colour(values: Floats) -> Colour:
    """Return a colour (3,) in whole numbers; one next to white or black is exactly that."""
    if (values > 255 - _PLAIN).all():
        return 255, 255, 255
    if (values < _PLAIN).all():
        return 0, 0, 0
    red, green, blue = np.clip(np.rint(values), 0, 255).astype(int).tolist()
    return red, green, blue


def spot(values: Floats) -> Spot:
    """Return (x, y) as plain numbers."""
    return float(values[0]), float(values[1])


def _direction(slopes: Floats) -> Floats:
    """The unit vector along which all channels change most, downwards."""
    _, _, axes = np.linalg.svd(slopes.T, full_matrices=False)
    angle = float(np.arctan2(axes[0, 1], axes[0, 0]))
    far = np.abs(np.angle(np.exp(1j * (_EIGHTHS - angle))))
    angle = float(_EIGHTHS[far.argmin()]) if far.min() < _TURN else angle
    direction = np.array([np.cos(angle), np.sin(angle)])
    return direction if direction @ _DOWNWARDS > 0 else -direction


@cache
def _basis(side: int) -> Floats:
    x, y = places(side)
    return np.stack([np.ones_like(x), x / side - 0.5, y / side - 0.5], axis=-1)
