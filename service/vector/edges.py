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

_CONTROLS: Final = 8
"""Coordinates of the controls of a segment."""


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
        """The pixel of each edge, row by row: (E,). An edge outside the image belongs to the pixel next to it."""
        column, row = np.clip(np.floor((self.start + self.end) / 2), 0, self.side - 1).astype(np.int64).T
        return np.asarray(row * self.side + column, np.int64)

    def coverage(self) -> Floats:
        """Return the area inside the curves, which run clockwise around ink and in reverse around holes: (side, side).

        An edge that rises by h in its row covers h of all pixels to its right.
        """
        pixel, rise = self.pixel, self.start[:, 1] - self.end[:, 1]
        across = ((self.start + self.end)[:, 0] / 2 - pixel % self.side).clip(0.0, 1.0)
        area = np.bincount(pixel, rise * (1 - across), minlength=self.side**2 + 1)
        area += np.bincount(pixel + 1, rise * across, minlength=self.side**2 + 1)
        return np.cumsum(area[:-1].reshape(self.side, self.side), axis=1)

    def slopes(self, pixels: Indices) -> Floats:
        """Return how the coverage of some pixels (P,), which are sorted, changes with each coordinate of the controls.

        (P, N * 8). An edge of length l that moves by d across adds l * d to its pixel.
        """
        along = self.end - self.start
        normal = np.stack([along[:, 1], -along[:, 0]], axis=1)
        values = bernstein((self.begins + self.ends) / 2)[:, :, None] * normal[:, None, :]  # (E, 4, 2)
        width = _CONTROLS * (int(self.segment.max()) + 1)
        first = np.searchsorted(pixels, self.pixel) * width + _CONTROLS * self.segment
        at = first[:, None] + np.arange(_CONTROLS)
        slopes = np.bincount(at.ravel(), values.ravel(), minlength=len(pixels) * width)
        return np.asarray(slopes.reshape(len(pixels), width), np.float64)


def edges(controls: Floats, side: int) -> Edges:
    """Return the edges of cubic segments (N, 4, 2)."""
    length = np.hypot(*np.moveaxis(np.diff(controls, axis=1), -1, 0)).sum(axis=1)
    counts = np.ceil(length / _LONGEST).astype(np.int64) + 1
    segment = np.repeat(np.arange(len(controls)), counts)
    place = np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts)
    begins, ends = place / counts[segment], (place + 1) / counts[segment]
    start, end = (np.einsum("ec,ecx->ex", bernstein(t), controls[segment]) for t in (begins, ends))
    whole = Edges(start=start, end=end, segment=segment, begins=begins, ends=ends, side=side)
    return _cut(_cut(whole, axis=0), axis=1)


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
