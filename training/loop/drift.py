"""Shifted context: a network learns to return to what the image around it shows.

In training the earlier pixels of a slice are real, and agree with the slices around. A sampled slice may have left their level;
then most forecasts repeat the wrong level, and the slice keeps it: stripes. So some examples have such a shift.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.config import Geometry, Stage

LEVELS: Final = 16
"""Largest shift, in levels of 255."""


def drift(rng: np.random.Generator, geometry: Geometry, stage: Stage) -> NDArray[np.int64]:
    """Return shifts of the pixels of a slice, (N, C): one random shift for each channel, within a random rectangle."""
    side, furthest = geometry.slice_size, largest(geometry, stage)
    rows, columns = np.sort(rng.integers(0, side + 1, (2, 2)), axis=1)
    shifts = np.zeros((side, side, geometry.channels), np.int64)
    shifts[slice(*rows), slice(*columns)] = rng.integers(-furthest, furthest + 1, geometry.channels)
    return shifts.reshape(-1, geometry.channels)


def largest(geometry: Geometry, stage: Stage) -> int:
    """Return the largest shift in symbols of the stage: `LEVELS`, at least one symbol, at most a quarter of the symbols."""
    level = 1 if stage is Stage.DEPTH else 1 << geometry.fine_bits
    return min((1 << geometry.target_bits(stage)) // 4, max(1, LEVELS // level))
