"""Closed curves of lines and cubic segments, and how they may move: level edges stay level, smooth joints stay smooth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from service.vector.paint import Floats, Where

_LEVEL: Final = 0.05
_TINY: Final = 1e-9
_TURNED: Final = 0.3
_QUARTER_ARC: Final = 0.5522847
_POLES: Final = np.array([(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)])


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A closed curve of N segments.

    - `controls` (N, 4, 2): start, two handles and end of each segment, (x, y) in pixels; handles of a line are its thirds
    - `straight` (N,): which segments are lines
    """

    controls: Floats
    straight: Where


@dataclass(frozen=True, kw_only=True)
class MovableCurve:
    """A curve that may move.

    - `freedom` (N, 4, 2, U): how far its controls move per unit of each of U parameters
    - `aligned` (N,): joints, each before its segment, whose handles are to lie on one line
    """

    curve: Curve
    freedom: Floats
    aligned: Where

    def moved(self, steps: Floats) -> MovableCurve:
        """Return the curve after steps (U,) of the parameters."""
        controls = self.curve.controls + self.freedom @ steps
        curve = Curve(controls=controls, straight=self.curve.straight)
        return replace(self, curve=_aligned(curve, self.aligned))


def ellipse(centre: Floats, radii: Floats, *, reverse: bool) -> MovableCurve:
    """Return an upright ellipse as four arcs, clockwise or in reverse. It stays one, and a circle stays a circle."""
    poles = _POLES * (-1.0, 1.0) if reverse else _POLES
    ends = np.roll(poles, -1, axis=0)
    unit = np.stack([poles, poles + _QUARTER_ARC * ends, ends + _QUARTER_ARC * poles, ends], axis=1)
    shifts, growth = np.broadcast_to(np.eye(2), (4, 4, 2, 2)), unit[..., None] * np.eye(2)
    if radii[0] == radii[1]:
        growth = growth.sum(axis=-1, keepdims=True)
    none = np.zeros(4, np.bool_)
    curve = Curve(controls=centre + radii * unit, straight=none)
    return MovableCurve(curve=curve, freedom=np.concatenate([shifts, growth], axis=-1), aligned=none)


def movable(curve: Curve, smooth: Where) -> MovableCurve:
    """Return a curve whose joints and handles move; `smooth` (N,): which joints, each before its segment, stay smooth."""
    count = len(curve.controls)
    freedom = np.zeros((count, 4, 2, 6 * count))
    joints = _joints(curve)
    freedom[:, 0, :, : 2 * count], freedom[:, 3, :, : 2 * count] = joints, np.roll(joints, -1, axis=0)
    for segment in range(count):
        if curve.straight[segment]:
            freedom[segment] = thirds(freedom[segment, 0], freedom[segment, 3])
        else:
            _free_handle(freedom, curve, segment, at=1, smooth=bool(smooth[segment]))
            _free_handle(freedom, curve, segment, at=2, smooth=bool(smooth[(segment + 1) % count]))
    return MovableCurve(curve=curve, freedom=freedom[..., freedom.any(axis=(0, 1, 2))], aligned=smooth)


def thirds(start: Floats, end: Floats) -> Floats:
    """Return the four controls of a line, also of its movement."""
    return np.stack([start, (2 * start + end) / 3, (start + 2 * end) / 3, end])


def bernstein(t: Floats) -> Floats:
    """Return the weights of the four controls of a cubic segment at `t` (n,): (n, 4)."""
    return np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1)


def _aligned(curve: Curve, aligned: Where) -> Curve:
    """The curve, the handles at these joints turned to one line: that of a straight segment, else between the two."""
    controls, line, line_before = curve.controls.copy(), curve.straight, np.roll(curve.straight, 1)
    leave, arrive = controls[:, 1] - controls[:, 0], np.roll(controls[:, 3] - controls[:, 2], 1, axis=0)
    reach, reach_before = (np.maximum(np.hypot(*each.T), _TINY)[:, None] for each in (leave, arrive))
    common = (
        np.where(line, 0, 1)[:, None] * arrive / reach_before + np.where(line_before, 0, 1)[:, None] * leave / reach
    )
    common /= np.maximum(np.hypot(*common.T), _TINY)[:, None]
    after, before = aligned & ~line, np.roll(aligned & ~line_before, -1)
    controls[after, 1] = (controls[:, 0] + reach * common)[after]
    controls[before, 2] = (controls[:, 3] - np.roll(reach_before * common, -1, axis=0))[before]
    return Curve(controls=controls, straight=curve.straight)


def _joints(curve: Curve) -> Floats:
    """How the start of each segment moves: (N, 2, 2N). Both ends of a level line have one y, those of an upright one x."""
    count = len(curve.controls)
    owners = np.arange(2 * count).reshape(2, count).T  # (N, 2) parameters of x and y
    for segment in np.flatnonzero(curve.straight).tolist():
        rise = np.abs(curve.controls[segment, 3] - curve.controls[segment, 0])
        for axis in np.flatnonzero(rise < _LEVEL).tolist():
            owners[owners == owners[(segment + 1) % count, axis]] = owners[segment, axis]
    return np.asarray(np.eye(2 * count)[owners], np.float64)


def _free_handle(freedom: Floats, curve: Curve, segment: int, *, at: int, smooth: bool) -> None:
    """Let a handle move with its joint, along itself, and across where the joint allows: at a smooth one both turn."""
    count = len(curve.controls)
    end, by = (0, -1) if at == 1 else (3, 1)
    neighbour = (segment + by) % count
    handle = curve.controls[segment, at] - curve.controls[segment, end]
    reach = max(float(np.hypot(*handle)), _TINY)
    across = np.array([-handle[1], handle[0]])
    own = 2 * count + 4 * segment + 2 * (at - 1)
    freedom[segment, at] = freedom[segment, end]
    freedom[segment, at, :, own] = handle / reach
    if not smooth:
        freedom[segment, at, :, own + 1] = across / reach
    elif curve.straight[neighbour]:
        line = curve.controls[neighbour, 3] - curve.controls[neighbour, 0]
        lean = freedom[segment, end] - freedom[neighbour, end]
        freedom[segment, at] += lean * reach / max(float(np.hypot(*line)), _TINY)
    else:
        joint = segment if at == 1 else neighbour
        freedom[segment, at, :, 2 * count + 4 * joint + 1] = across * _TURNED
