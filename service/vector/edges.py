"""Curves as short edges, for the exact area that they cover of each pixel and for its derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.vector.closed_curves import bernstein
from service.vector.paint import Floats

Indices = NDArray[np.int64]

_LONGEST: Final = 0.4
"""Pixels of an edge, at most: it stands for a curve."""


@dataclass(frozen=True, kw_only=True)
class Influence:
    """How the controls of N segments follow U parameters, each segment only a few of them: K at most.

    - `parameters` (N, K): which
    - `freedom` (N, 8, K): how far each coordinate of the controls moves per unit of the parameter; 0 fills up to K
    - `count`: U
    """

    parameters: Indices
    freedom: Floats
    count: int


@dataclass(frozen=True, kw_only=True)
class Edges:
    """Straight edges, E of them, each within one pixel of an image of side x side.

    - `start`, `end` (E, 2): (x, y) in pixels
    - `segment` (E,), `begins`, `ends` (E,): the segment of which it is a part, and its parameters there
    """

    start: Floats
    end: Floats
    segment: Indices
    begins: Floats
    ends: Floats
    side: int

    @property
    def pixel(self) -> Indices:
        """The pixel of each edge, row by row: (E,). An edge beside the image belongs to the pixel next to it."""
        column, row = np.clip(np.floor(self._middle), 0, self.side - 1).astype(np.int64).T
        return np.asarray(row * self.side + column, np.int64)

    @property
    def _middle(self) -> Floats:
        return (self.start + self.end) / 2

    def coverage(self) -> Floats:
        """Return the area inside the curves, which run clockwise around ink and in reverse around holes: (side, side).

        An edge that rises by h in its row covers h of all pixels to its right.
        """
        row, column = np.divmod(self.pixel, self.side)
        rise, at = self.start[:, 1] - self.end[:, 1], row * (self.side + 1) + column
        across = (self._middle[:, 0] - column).clip(0.0, 1.0)
        size = self.side * (self.side + 1)
        both = np.concatenate([at, at + 1]), np.concatenate([rise * (1 - across), rise * across])
        area = np.bincount(*both, minlength=size)
        return np.cumsum(area.reshape(self.side, -1)[:, :-1], axis=1)

    def slopes(self, pixels: Indices, influence: Influence) -> Floats:
        """Return how the coverage of some pixels (P,), which are sorted, changes with each parameter: (P, U).

        An edge of length l that moves by d across adds l * d to its pixel; none, if it is beside the image.
        """
        beside = np.abs(self._middle[:, 0] - self.side / 2) > self.side / 2
        along = np.where(beside[:, None], 0.0, self.end - self.start)
        normal = np.stack([along[:, 1], -along[:, 0]], axis=1)
        weights = bernstein((self.begins + self.ends) / 2)[:, :, None] * normal[:, None, :]  # (E, 4, 2)
        values = np.einsum("ec,eck->ek", weights.reshape(len(along), -1), influence.freedom[self.segment])
        first = np.searchsorted(pixels, self.pixel) * influence.count
        at = first[:, None] + influence.parameters[self.segment]
        slopes = np.bincount(at.ravel(), values.ravel(), minlength=len(pixels) * influence.count)
        return np.asarray(slopes.reshape(len(pixels), influence.count), np.float64)


def edges(controls: Floats, side: int) -> Edges:
    """Return the edges of cubic segments (N, 4, 2), without those above and below the image: they cover nothing of it."""
    fastest = 3 * np.hypot(*np.moveaxis(np.diff(controls, axis=1), -1, 0)).max(axis=1)
    counts = np.ceil(fastest / _LONGEST).astype(np.int64) + 1
    segment = np.repeat(np.arange(len(controls)), counts)
    place = np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins, ends = place / counts[segment], (place + 1) / counts[segment]
    start, end = (np.einsum("ec,ecx->ex", bernstein(t), controls[segment]) for t in (begins, ends))
    whole = Edges(start=start, end=end, segment=segment, begins=begins, ends=ends, side=side)
    return _within(_cut(_cut(whole, axis=0), axis=1))


def _within(whole: Edges) -> Edges:
    """The edges in the rows of the image."""
    down = (whole.start + whole.end)[:, 1] / 2
    there = (down > 0) & (down < whole.side)
    return Edges(
        start=whole.start[there],
        end=whole.end[there],
        segment=whole.segment[there],
        begins=whole.begins[there],
        ends=whole.ends[there],
        side=whole.side,
    )


def _cut(whole: Edges, axis: int) -> Edges:
    """The edges, those that cross a border of pixels along `axis` in two: an edge is too short to cross more."""
    low, high = np.sort([whole.start[:, axis], whole.end[:, axis]], axis=0)
    border = np.floor(low) + 1
    cut = np.flatnonzero(border < high)
    start, end, begins, ends = (each[cut] for each in (whole.start, whole.end, whole.begins, whole.ends))
    share = (border[cut] - start[:, axis]) / (end[:, axis] - start[:, axis])
    middle, between = start + share[:, None] * (end - start), begins + share * (ends - begins)
    first_end, first_ends = whole.end.copy(), whole.ends.copy()
    first_end[cut], first_ends[cut] = middle, between
    return Edges(
        start=np.concatenate([whole.start, middle]),
        end=np.concatenate([first_end, end]),
        segment=np.concatenate([whole.segment, whole.segment[cut]]),
        begins=np.concatenate([whole.begins, between]),
        ends=np.concatenate([first_ends, ends]),
        side=whole.side,
    )
