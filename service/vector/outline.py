"""The closed curves around a glyph, from how far its pixels are covered."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from contourpy import contour_generator

from service.vector.paint import Floats

_ZOOM: Final = 3
_LEAST_AREA: Final = 1.2
_LEAST_POINTS: Final = 4


def contours(coverage: Floats) -> list[Floats]:
    """Return the closed curves along which a coverage (S, S) is one half: points (n, 2) as (x, y) in pixels.

    Specks of about a pixel are left out.
    """
    fine = np.pad(finer(coverage, _ZOOM), 1)
    at = (np.arange(len(fine)) - 0.5) / _ZOOM
    found = [np.asarray(each[:-1], np.float64) for each in contour_generator(at, at, fine).lines(0.5)]
    return [each for each in found if len(each) >= _LEAST_POINTS and abs(area(each)) > _LEAST_AREA]


def finer(coverage: Floats, zoom: int) -> Floats:
    """Return a coverage (S, S) at `zoom` times the resolution: with the same mean over each pixel, and sharper edges."""
    matrix = _sharpening(len(coverage), zoom)
    return np.asarray(matrix @ coverage @ matrix.T, np.float64)


def area(points: Floats) -> float:
    """Return the area that a closed curve (n, 2) encloses; its sign is the direction."""
    x, y = points.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def evenly(points: Floats, spacing: float) -> Floats:
    """Return a closed curve (n, 2) as points about `spacing` apart along it: (m, 2)."""
    closed = np.vstack([points, points[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    count = max(8, round(along[-1] / spacing))
    at = np.arange(count) * along[-1] / count
    return np.stack([np.interp(at, along, closed[:, axis]) for axis in (0, 1)], axis=1)


@cache
def _sharpening(side: int, zoom: int) -> Floats:
    """The matrix (side * zoom, side) from means over pixels to means over parts of them.

    The running sum of the means is exact at the borders of pixels; a cubic spline through it gives it between them.
    """
    sums = np.vstack([np.zeros((1, side)), np.tril(np.ones((side, side)))])  # (side + 1, side)
    slopes = _spline_slopes(side + 1) @ sums
    t = np.tile(np.arange(zoom) / zoom, side)[:, None]
    left, right = np.repeat(sums[:-1], zoom, axis=0), np.repeat(sums[1:], zoom, axis=0)
    leave, arrive = np.repeat(slopes[:-1], zoom, axis=0), np.repeat(slopes[1:], zoom, axis=0)
    values = (1 + 2 * t) * (1 - t) ** 2 * left + t**2 * (3 - 2 * t) * right
    values += t * (1 - t) ** 2 * leave - t**2 * (1 - t) * arrive
    return np.asarray(np.diff(np.vstack([values, sums[-1:]]), axis=0) * zoom, np.float64)


def _spline_slopes(count: int) -> Floats:
    """The matrix (count, count) from values to the slopes of the cubic spline through them, flat at both ends."""
    above, below = np.eye(count, k=1), np.eye(count, k=-1)
    system, rise = 4 * np.eye(count) + above + below, 3 * (above - below)
    system[[0, -1]], rise[[0, -1]] = np.eye(count)[[0, -1]], 0.0
    return np.asarray(np.linalg.solve(system, rise), np.float64)
