"""How far the points of every window of a curve are from the line and from the cubic polynomial that fit them best."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.vector.paint import Floats

Indices = NDArray[np.int64]
Places = NDArray[np.complex128]
"""x + iy."""

_DEGREE: Final = 3


def window_errors(points: Floats, longest: int) -> tuple[Floats, Floats]:
    """Return the squared distances of the points (n, 2) strictly between two from a line, and from a cubic, summed.

    Row l, column e: between points e - l and e. (longest + 1, n) each; infinite where there is no such window, or fewer
    points than the degree. The polynomials are those that are orthogonal over evenly spaced points (Gram).
    """
    length, end = np.mgrid[: longest + 1, : len(points)]
    inner = np.maximum(length - 1, 0)
    first = np.maximum(end - inner, 0)
    zero, one, two, three = _central_moments(points[:, 0] + 1j * points[:, 1], first, end)
    wide = np.arange(-1.0, longest)[:, None].clip(min=0.0) ** 2
    parts = (zero, one, two - (wide - 1) / 12 * zero, three - (3 * wide - 7) / 20 * one)
    norms = np.sqrt(wide) * np.cumprod([wide**0, (wide - 1) / 12, (wide - 4) / 15, (wide - 9) * 9 / 140], axis=0)
    explained = [_square(part) / np.where(norm > 0, norm, np.inf) for part, norm in zip(parts, norms, strict=True)]
    squares = np.concatenate([[0.0], np.cumsum((points**2).sum(axis=1))])
    line = np.maximum(squares[end] - squares[first] - explained[0] - explained[1], 0.0)
    cubic = np.maximum(line - explained[2] - explained[3], 0.0)
    none = (length == 0) | (length > end)
    return np.where(none, np.inf, line), np.where(none | (inner < _DEGREE), np.inf, cubic)


def _central_moments(places: Places, first: Indices, end: Indices) -> Iterator[Places]:
    """Yield the sums of places[i] * (i - middle) ** k over first <= i < end, for k = 0 to 3: (lengths, points) each."""
    half = len(places) / 2
    middle = (first + end - 1) / 2 - half
    powers = (np.arange(len(places)) - half) ** np.arange(_DEGREE + 1)[:, None]
    sums = np.cumsum(np.hstack([np.zeros((_DEGREE + 1, 1)), places * powers]), axis=1)
    a, b, c, d = (each[end] - each[first] for each in sums)
    yield from (
        a,
        b - middle * a,
        c - middle * (2 * b - middle * a),
        d - middle * (3 * c - middle * (3 * b - middle * a)),
    )


def _square(places: Places) -> Floats:
    return places.real**2 + places.imag**2
