"""A closed curve of points as few lines and cubic curves: straight edges stay straight, corners stay sharp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from service.vector.closed_curves import Curve, MovableCurve, bernstein, ellipse, movable, thirds
from service.vector.ellipse import fitted_ellipse
from service.vector.outline import area, evenly
from service.vector.paint import Floats
from service.vector.runs import BEND, Run, divided, sharpest

_SPACING: Final = 0.7
"""Pixels between the points that are fitted."""

_REACH: Final = 2.0
_PULL: Final = 0.05
_PARALLEL: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class _Joint:
    """Where two runs meet; `along`: the common direction of both, None at a corner."""

    place: Floats
    along: Floats | None


def closed_path(points: Floats) -> MovableCurve:
    """Return the curve that describes closed points (n, 2) best."""
    even = evenly(points, _SPACING)
    middle = even.mean(axis=0)
    even = even - middle
    found = fitted_ellipse(even)
    if found:
        centre, radii = found
        return ellipse(middle + centre, radii, reverse=area(points) < 0)
    return _joined(np.roll(even, -sharpest(even), axis=0), middle)


def _joined(points: Floats, middle: Floats) -> MovableCurve:
    """The runs of closed points (n, 2) about `middle`, joined."""
    closed = np.vstack([points, points[:1]])
    runs = _capped(divided(closed))
    joints = [_joint(before, after, points) for before, after in zip([runs[-1], *runs[:-1]], runs, strict=True)]
    controls = [
        thirds(start.place, end.place) if run.straight else _cubic(closed[run.first : run.last + 1], start, end)
        for run, start, end in zip(runs, joints, [*joints[1:], joints[0]], strict=True)
    ]
    curve = Curve(controls=middle + np.stack(controls), straight=np.array([run.straight for run in runs]))
    return movable(curve, smooth=np.array([joint.along is not None for joint in joints]))


def _capped(runs: list[Run]) -> list[Run]:
    """The runs, with a line across the end of each stroke that is too thin for a run of points."""
    out: list[Run] = []
    for before, after in zip([runs[-1], *runs[:-1]], runs, strict=True):
        back = before.straight and after.straight and before.direction(1.0) @ after.direction(0.0) < 0
        if back and _crossing(before, after) is None:
            start, end = before.at(1.0), after.at(0.0)
            out.append(
                Run(first=after.first, last=after.first, straight=True, polynomial=np.stack([start, end - start]))
            )
        out.append(after)
    return out


def _joint(before: Run, after: Run, points: Floats) -> _Joint:
    """Two lines meet where they cross; a line and a curve on the line; two curves at the point between them."""
    arrive, leave = before.direction(1.0), after.direction(0.0)
    end, start, here = before.at(1.0), after.at(0.0), points[after.first]
    if before.straight and after.straight:
        crossing = _crossing(before, after)
        return _Joint(place=here if crossing is None else crossing, along=None)
    if arrive @ leave < np.cos(BEND):
        place, along = (start + end + 2 * here) / 4, None
    else:
        place, along = here, arrive if before.straight else leave if after.straight else _tangent(points, after.first)
    if before.straight:
        place = end + arrive * ((here - end) @ arrive)
    elif after.straight:
        place = start + leave * ((here - start) @ leave)
    return _Joint(place=place, along=along)


def _tangent(points: Floats, place: int) -> Floats:
    """The direction of a closed curve at a point; exact for curves of degree 4."""
    far_back, back, ahead, far_ahead = (points[(place + step) % len(points)] for step in (-2, -1, 1, 2))
    slope = 8 * (ahead - back) - (far_ahead - far_back)
    return np.asarray(slope / max(float(np.hypot(*slope)), 1e-9), np.float64)


def _crossing(before: Run, after: Run) -> Floats | None:
    """Where two lines cross; None if they are nearly parallel or cross far from where they end."""
    arrive, leave, end = before.direction(1.0), after.direction(0.0), before.at(1.0)
    sine = arrive[0] * leave[1] - arrive[1] * leave[0]
    if abs(sine) < _PARALLEL:
        return None
    between = after.at(0.0) - end
    along = (between[0] * leave[1] - between[1] * leave[0]) / sine
    return np.asarray(end + arrive * along, np.float64) if abs(along) < _REACH else None


def _cubic(points: Floats, start: _Joint, end: _Joint) -> Floats:
    """The controls (4, 2) of the cubic curve between two joints that is nearest to evenly spaced points.

    A handle lies along a smooth joint and is free at a corner. Each is drawn a little to its third of the chord.
    """
    chord = end.place - start.place
    first = np.eye(2) if start.along is None else start.along[:, None]  # (2, unknowns)
    second = np.eye(2) if end.along is None else -end.along[:, None]
    free = first.shape[1]
    pull = np.zeros((4, free + second.shape[1]))
    pull[:2, :free], pull[2:, free:] = first, second
    third = np.concatenate([chord / 3, -chord / 3])
    b = bernstein(np.linspace(0.0, 1.0, len(points))[1:-1])
    left = points[1:-1] - np.outer(b[:, 0] + b[:, 1], start.place) - np.outer(b[:, 2] + b[:, 3], end.place)
    rows = np.concatenate([b[:, 1, None, None] * first, b[:, 2, None, None] * second], axis=2)
    system = np.vstack([rows.reshape(2 * len(b), -1), _PULL * pull])
    values = np.linalg.solve(system.T @ system, system.T @ np.concatenate([left.ravel(), _PULL * third]))
    values[:free] = values[:free] if start.along is None else values[:free].clip(min=0.0)
    values[free:] = values[free:] if end.along is None else values[free:].clip(min=0.0)
    return np.stack([start.place, start.place + first @ values[:free], end.place + second @ values[free:], end.place])
