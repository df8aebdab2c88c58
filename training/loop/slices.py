"""How often each slice of a stage is a training target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.config import Geometry, Stage


def shares(geometry: Geometry, stage: Stage, early: float) -> NDArray[np.float64]:
    """Return the share of training examples of each slice k, (K,): 1 / n ** early for the stage's n-th, 0 for no target.

    An exponent of 0 gives all the same share; 1 gives the first of 16 slices 30 % instead of 6 %.
    """
    targets = [step.slice for step in geometry.steps if step.stage is stage]
    weights = np.zeros(geometry.slices)
    weights[targets] = np.arange(1, len(targets) + 1) ** -early
    return np.asarray(weights / weights.sum(), np.float64)


def importance(geometry: Geometry, stage: Stage, early: float) -> NDArray[np.float64]:
    """Return what a slice's nats are multiplied by, (K,), so that their mean over examples has no bias; 0 for no target."""
    frequency = shares(geometry, stage, early)
    targets = np.count_nonzero(frequency)
    return np.divide(1 / targets, frequency, out=np.zeros_like(frequency), where=frequency > 0)
