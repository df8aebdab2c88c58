"""Contours of a coverage at sub-pixel precision: marching squares with linear interpolation."""

from __future__ import annotations

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def contours(coverage: Floats, level: float = 0.5) -> list[Floats]:
    """Return the closed curves along which `coverage` (H, W) crosses `level`: (n, 2) row and column each.

    The image counts as empty outside its frame. Islands and holes run in opposite directions.
    """
    lines = [np.asarray(line, np.float64) for line in contour_generator(z=np.pad(coverage, 1)).lines(level)]
    return [line[:0:-1, ::-1] - 1 for line in lines]


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
