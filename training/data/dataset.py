"""The interface of a data set for the trainer."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from models.config import Control
from training.data.symbols import ImageBatch


class Dataset(Protocol):
    """Images of one size with controls: random ones for training, and a fixed held-out batch for evaluation."""

    @property
    def controls(self) -> tuple[Control, ...]:
        """The controls, in the order of the columns of a batch."""

    @property
    def families(self) -> tuple[str, ...]:
        """The names of the groups with separate scores, by the ids of a batch."""

    def draw(self, rng: np.random.Generator, count: int) -> ImageBatch:
        """Return `count` training images; equal generator states give equal images."""

    def held_out(self) -> ImageBatch:
        """Return the held-out images, always the same in the same order."""
