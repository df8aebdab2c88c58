"""Circles and upright ellipses, which icons have many of: found as such, so that they are exact."""

from __future__ import annotations

from typing import Final

import numpy as np

from service.vector.paint import Floats

_NEAR: Final = 0.12
_FAR: Final = 0.36


def fitted_ellipse(points: Floats) -> tuple[Floats, Floats] | None:
    """Return centre (2,) and radii (2,) of the upright ellipse that a closed curve (n, 2) about (0, 0) is, or None.

    Nearly equal radii are made equal: a circle.
    """
    squares = np.hstack([points**2, points])
    a, b, c, d = np.linalg.lstsq(squares, np.ones(len(points)), rcond=None)[0]
    if min(a, b) <= 0:
        return None
    centre = np.array([-c / (2 * a), -d / (2 * b)])
    radii = np.sqrt((1 + a * centre[0] ** 2 + b * centre[1] ** 2) / np.array([a, b]))
    if abs(radii[0] - radii[1]) < _NEAR:
        radii[:] = radii.mean()
    if max(np.abs(points.min(axis=0) - centre + radii).max(), np.abs(points.max(axis=0) - centre - radii).max()) > _FAR:
        return None  # a sliver: it is near an ellipse that is far longer than it
    far = np.abs(np.hypot(*((points - centre) / radii).T) - 1) * radii.min()
    return (centre, radii) if far.max() < _FAR and np.sqrt((far**2).mean()) < _NEAR else None
