"""A closed curve divided into runs: each a line or a cubic polynomial that its points lie on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from service.vector.paint import Floats, Where
from service.vector.window_fits import window_errors

NOISE: Final = 0.05
"""Pixels by which points are off their curve. Less makes more and smaller pieces: 0.04 needs a fifth more than 0.05."""

BEND: Final = np.radians(32)
"""The curve has a corner where two runs differ by more."""

_LONGEST: Final = 60
_LINE_COST: Final = 8.0
_SHORT: Final = 8
_LONG: Final = 12
_SHORT_COST: Final = 12.0
_CUBIC_COST: Final = 13.0
_DEGREE: Final = 3
_LEAST: Final = 3
_TURN_REACH: Final = 3
_LEVEL: Final = np.radians(3)
_LEVEL_DRIFT: Final = 0.4


@dataclass(frozen=True, kw_only=True)
class Run:
    """Points `first` to `last` of a closed curve, and the polynomial (degree + 1, 2) over 0..1 that fits them."""

    first: int
    last: int
    straight: bool
    polynomial: Floats

    def at(self, t: float) -> Floats:
        """Return the place (2,) at `t` in 0..1."""
        return np.asarray(t ** np.arange(len(self.polynomial)) @ self.polynomial, np.float64)

    def direction(self, t: float) -> Floats:
        """Return the unit vector (2,) along the run at `t`."""
        degrees = np.arange(1, len(self.polynomial))
        slope = (degrees * t ** (degrees - 1)) @ self.polynomial[1:]
        return np.asarray(slope / max(float(np.hypot(*slope)), 1e-9), np.float64)

    def error(self, closed: Floats, *, margin: int = 1) -> float:
        """Return the root mean square distance of the points from the polynomial, without `margin` at each end."""
        t = np.linspace(0.0, 1.0, self.last - self.first + 1)[margin:-margin]
        far = np.vander(t, len(self.polynomial), increasing=True) @ self.polynomial
        return float(np.sqrt(((far - closed[self.first + margin : self.last + 1 - margin]) ** 2).sum(axis=1).mean()))


def sharpest(points: Floats) -> int:
    """Return the point at which a closed curve (n, 2) turns most: where to begin."""
    before, after = points - np.roll(points, _TURN_REACH, axis=0), np.roll(points, -_TURN_REACH, axis=0) - points
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return int(np.abs(np.arctan2(cross, (before * after).sum(axis=1))).argmax())


def divided(closed: Floats) -> list[Run]:
    """Return the cheapest division of a closed curve (n, 2), whose last point is its first.

    A run costs by its kind and by how far its points are from it. Neighbours that are one line or one curve are merged.
    """
    costs, straight = _costs(closed)
    longest, count = len(costs) - 1, len(closed)
    best, back = np.zeros(count), np.zeros(count, np.int64)
    for end in range(1, count):
        reach = min(longest, end)
        totals = best[end - reach : end][::-1] + costs[1 : reach + 1, end]
        back[end] = int(totals.argmin()) + 1
        best[end] = totals[back[end] - 1]
    runs, end = [], count - 1
    while end > 0:
        first = end - int(back[end])
        runs.append(_run(closed, first, end, straight=bool(straight[end - first, end])))
        end = first
    return _merged([_straightened(run, closed) for run in runs[::-1]], closed)


def _costs(closed: Floats) -> tuple[Floats, Where]:
    """The cost of each run by its length and last point, and whether it is a line then: (lengths, points).

    The ends of a run do not count: a corner is rounded there.
    """
    line, cubic = window_errors(closed, min(_LONGEST, len(closed) - 1))
    fixed = np.where(np.arange(len(line)) >= _SHORT, _LINE_COST, _SHORT_COST)[:, None]
    lines, cubics = line / NOISE**2 + fixed, cubic / NOISE**2 + _CUBIC_COST
    return np.minimum(lines, cubics), lines <= cubics


def _run(closed: Floats, first: int, last: int, *, straight: bool, margin: int = 1) -> Run:
    """The run between two points, fitted to those between them, `margin` points at each end left out."""
    margin = margin if last - first >= _LEAST else 0
    polynomial = _fit(last - first, margin, 1 if straight else _DEGREE) @ closed[first + margin : last + 1 - margin]
    return Run(first=first, last=last, straight=straight, polynomial=_levelled(polynomial) if straight else polynomial)


@lru_cache(maxsize=1024)
def _fit(length: int, margin: int, degree: int) -> Floats:
    """The matrix (degree + 1, points) from the points of a run to the polynomial that fits them; it has at most as many
    coefficients as there are points.
    """
    t = np.arange(margin, length + 1 - margin) / length
    return np.asarray(np.linalg.pinv(np.vander(t, min(degree + 1, len(t)), increasing=True)), np.float64)


def _straightened(run: Run, closed: Floats) -> Run:
    """A curve as a line, if it is one but for its ends: an image rounds the corners of a short edge by a pixel or two."""
    margin = 2 + (run.last - run.first) // _LONG
    if run.straight or run.last - run.first < 2 * margin + _LEAST:
        return run
    line = _run(closed, run.first, run.last, straight=True, margin=margin)
    return line if line.error(closed, margin=margin) < NOISE else run


def _levelled(line: Floats) -> Floats:
    """A line (2, 2), exactly level or upright if it is nearly that."""
    for axis in (0, 1):
        drift, way = np.abs(line[1, [axis, 1 - axis]])
        if drift < min(np.tan(_LEVEL) * way, _LEVEL_DRIFT):
            level = line.copy()
            level[0, axis], level[1, axis] = line[0, axis] + line[1, axis] / 2, 0.0
            return level
    return line


def _merged(runs: list[Run], closed: Floats) -> list[Run]:
    """The runs, neighbouring lines of nearly one direction made one line or one curve."""
    out: list[Run] = []
    for run in runs:
        whole = _whole(out[-1], run, closed) if out else None
        if whole:
            out[-1] = whole
        else:
            out.append(run)
    return out


def _whole(before: Run, after: Run, closed: Floats) -> Run | None:
    """Two lines as one line or one curve, if that is as good; None if not."""
    lines = before.straight and after.straight and before.direction(1.0) @ after.direction(0.0) > np.cos(BEND)
    if not lines or min(before.last - before.first, after.last - after.first) < _LEAST:
        return None
    choices = (_run(closed, before.first, after.last, straight=straight) for straight in (True, False))
    return next((each for each in choices if each.error(closed) < 2 * NOISE), None)
