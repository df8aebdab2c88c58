"""Curves moved until they cover of each pixel what the image shows: nonlinear least squares.

The contour of half coverage is only near the outline of a glyph: it cuts corners, and it narrows thin strokes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from service.vector.closed_curves import Curve, MovableCurve
from service.vector.edges import Edges, edges
from service.vector.paint import Floats

_ROUNDS: Final = 3
_EMPHASIS: Final = 3.0
"""Additional weight of a half-covered pixel: it shows the place of an edge, slight coverage shows how blurred an image is."""

_DAMPING: Final = 0.03
"""Weight of a parameter's movement by one pixel against the coverage of a pixel: it decides what no pixel does."""


def refined(curves: Sequence[MovableCurve], coverage: Floats) -> tuple[Curve, ...]:
    """Return the curves, moved towards a coverage (S, S) by the method of Gauss and Newton."""
    weights = 1 + _EMPHASIS * (4 * coverage * (1 - coverage)) ** 2
    for _ in range(_ROUNDS if curves else 0):
        outline = edges(np.concatenate([each.curve.controls for each in curves]), len(coverage))
        curves = _moved(curves, outline, coverage - outline.coverage(), weights)
    return tuple(each.curve for each in curves)


def _moved(curves: Sequence[MovableCurve], outline: Edges, missing: Floats, weights: Floats) -> list[MovableCurve]:
    """The curves after one step; `missing` (S, S): coverage that they should have in addition."""
    pixels = np.unique(outline.pixel)
    borders = np.cumsum([each.curve.controls.size for each in curves])[:-1]
    slopes = np.split(outline.slopes(pixels), borders, axis=1)
    systems = [
        slope @ each.freedom.reshape(slope.shape[1], -1) for slope, each in zip(slopes, curves, strict=True)
    ]  # (pixels, parameters) each
    system = np.hstack(systems)
    weighted = system.T * weights.ravel()[pixels]
    gram = weighted @ system + _DAMPING * np.eye(system.shape[1])
    steps = np.linalg.solve(gram, weighted @ missing.ravel()[pixels])
    ends = np.cumsum([each.shape[1] for each in systems])[:-1]
    return [each.moved(step) for each, step in zip(curves, np.split(steps, ends), strict=True)]
