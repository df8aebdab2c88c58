"""Curves moved until they cover of each pixel what the image shows: nonlinear least squares.

The contour of half coverage is only near the outline of a glyph: it cuts corners, and it narrows thin strokes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from service.vector.closed_curves import Curve, MovableCurve
from service.vector.edges import Edges, Influence, edges
from service.vector.paint import Floats

_ROUNDS: Final = 3
_EMPHASIS: Final = 3.0
"""Additional weight of a half-covered pixel: it shows the place of an edge, slight coverage shows how blurred an image is."""

_DAMPING: Final = 0.03
"""Weight of a parameter's movement by one pixel against the coverage of a pixel: it decides what no pixel does."""


def refined(curves: Sequence[MovableCurve], coverage: Floats) -> tuple[Curve, ...]:
    """Return the curves, moved towards a coverage (S, S) by the method of Gauss and Newton."""
    if not curves:
        return ()
    emphasis = np.sqrt(1 + _EMPHASIS * (4 * coverage * (1 - coverage)) ** 2)
    influence = influence_of(curves)
    for _ in range(_ROUNDS):
        outline = edges(np.concatenate([each.curve.controls for each in curves]), len(coverage))
        steps = _steps(outline, influence, coverage - outline.coverage(), emphasis)
        ends = np.cumsum([each.freedom.shape[-1] for each in curves])[:-1]
        curves = [each.moved(step) for each, step in zip(curves, np.split(steps, ends), strict=True)]
    return tuple(each.curve for each in curves)


def influence_of(curves: Sequence[MovableCurve]) -> Influence:
    """Return how the segments of all curves follow the parameters of all curves, one curve after the other."""
    used = [each.freedom.any(axis=(1, 2)) for each in curves]  # (N, U) each
    width = max(int(each.sum(axis=1).max()) for each in used)
    parameters, freedom, count = [], [], 0
    for curve, there in zip(curves, used, strict=True):
        first = np.argsort(~there, axis=1, kind="stable")[:, :width]
        few = np.take_along_axis(curve.freedom, first[:, None, None, :], axis=-1)
        spare = ((0, 0), (0, width - first.shape[1]))
        parameters.append(np.pad(first, spare) + count)
        freedom.append(np.pad(few.reshape(len(few), -1, first.shape[1]), ((0, 0), *spare)))
        count += there.shape[1]
    return Influence(parameters=np.concatenate(parameters), freedom=np.concatenate(freedom), count=count)


def _steps(outline: Edges, influence: Influence, missing: Floats, emphasis: Floats) -> Floats:
    """The movement (U,) of the parameters by which the curves gain a coverage (S, S) that is `missing`."""
    pixels = np.unique(outline.pixel)
    weight = emphasis.ravel()[pixels]
    system = outline.slopes(pixels, influence) * weight[:, None]
    gram = system.T @ system + _DAMPING * np.eye(influence.count)
    return np.asarray(np.linalg.solve(gram, system.T @ (weight * missing.ravel()[pixels])), np.float64)
