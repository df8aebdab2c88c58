"""Contours of a coverage at sub-pixel precision: marching squares with linear interpolation."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TOP, _RIGHT, _BOTTOM, _LEFT = range(4)

_SEGMENTS: Final = {
    0b0001: ((_LEFT, _TOP),),
    0b0010: ((_TOP, _RIGHT),),
    0b0011: ((_LEFT, _RIGHT),),
    0b0100: ((_RIGHT, _BOTTOM),),
    0b0110: ((_TOP, _BOTTOM),),
    0b0111: ((_LEFT, _BOTTOM),),
    0b1000: ((_BOTTOM, _LEFT),),
    0b1001: ((_BOTTOM, _TOP),),
    0b1011: ((_BOTTOM, _RIGHT),),
    0b1100: ((_RIGHT, _LEFT),),
    0b1101: ((_RIGHT, _TOP),),
    0b1110: ((_TOP, _LEFT),),
}
"""Edges that a contour enters and leaves a cell by, per set of corners inside.

Bits: 1 top left, 2 top right, 4 bottom right, 8 bottom left. The inside lies to the left of the direction of travel.
"""

_SADDLES: Final = {
    (0b0101, False): ((_LEFT, _TOP), (_RIGHT, _BOTTOM)),
    (0b0101, True): ((_LEFT, _BOTTOM), (_RIGHT, _TOP)),
    (0b1010, False): ((_TOP, _RIGHT), (_BOTTOM, _LEFT)),
    (0b1010, True): ((_TOP, _LEFT), (_BOTTOM, _RIGHT)),
}
"""The same for two opposite corners inside, by whether the mean of the four is inside too."""


def contours(coverage: Floats, level: float = 0.5) -> list[Floats]:
    """Return the closed curves along which `coverage` (H, W) crosses `level`: (n, 2) row and column each.

    The image counts as empty outside its frame. Islands and holes run in opposite directions.
    """
    field = np.pad(coverage, 1)
    following, points = _links(field, level)
    curves = []
    while following:
        start, edge = following.popitem()
        curve = [start]
        while edge != start:
            curve.append(edge)
            edge = following.pop(edge)
        curves.append(points[curve] - 1)
    return curves


def area(curve: Floats) -> float:
    """Return the enclosed area in pixels; negative for a hole."""
    rows, columns = curve.T
    return float(np.sum(rows * np.roll(columns, -1) - columns * np.roll(rows, -1)) / 2)


def length(curve: Floats) -> float:
    """Return the length in pixels."""
    return float(_steps(curve).sum())


def evenly(curve: Floats, spacing: float) -> Floats:
    """Return the closed curve as points about `spacing` apart along it: (m, 2)."""
    along = np.concatenate([[0.0], np.cumsum(_steps(curve))])
    closed = np.vstack([curve, curve[:1]])
    count = max(4, round(along[-1] / spacing))
    at = np.arange(count) * along[-1] / count
    return np.stack([np.interp(at, along, closed[:, axis]) for axis in (0, 1)], axis=1)


def _steps(curve: Floats) -> Floats:
    return np.asarray(np.hypot(*(np.roll(curve, -1, axis=0) - curve).T), np.float64)


def _links(field: Floats, level: float) -> tuple[dict[int, int], Floats]:
    """Return which crossed edge follows which, and the crossing point (2,) of every edge; horizontal edges come first."""
    height, width = field.shape
    inside = field > level
    mean = (field[:-1, :-1] + field[:-1, 1:] + field[1:, 1:] + field[1:, :-1]) / 4
    cells = inside[:-1, :-1] + 2 * inside[:-1, 1:] + 4 * inside[1:, 1:] + 8 * inside[1:, :-1]
    following: dict[int, int] = {}
    for row, column in np.argwhere((cells > 0) & (cells < 15)).tolist():  # noqa: PLR2004 - all four corners
        corner = row * width + column
        upright = height * width + corner
        edges = (corner, upright + 1, corner + width, upright)
        corners = int(cells[row, column])
        pairs = _SEGMENTS.get(corners) or _SADDLES[corners, bool(mean[row, column] > level)]
        following.update({edges[entry]: edges[way_out] for entry, way_out in pairs})
    return following, np.concatenate([_crossings(field, level, axis) for axis in (1, 0)])


def _crossings(field: Floats, level: float, axis: int) -> Floats:
    """Return where each edge along `axis` is crossed: (H * W, 2); meaningless for edges that are not crossed."""
    after = np.roll(field, -1, axis)
    rise = after - field
    share = np.where(rise == 0, 0.5, (level - field) / np.where(rise == 0, 1.0, rise))
    places = np.moveaxis(np.indices(field.shape, np.float64), 0, -1).copy()
    places[..., axis] += np.clip(share, 0.0, 1.0)
    return np.asarray(places.reshape(-1, 2), np.float64)
