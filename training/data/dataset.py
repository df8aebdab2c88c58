"""What a trainer asks of any data set."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from models.config import Control
from training.data.symbols import ImageBatch


class Dataset(Protocol):
    """Pictures of one size with controls: drawn at random to train on, and a fixed held-out batch to judge by."""

    @property
    def controls(self) -> tuple[Control, ...]:
        """What may be asked for, in the order of a batch's columns."""

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the groups that scores are given for, by the ids of a batch."""

    def draw(self, rng: np.random.Generator, count: int) -> ImageBatch:
        """`count` training pictures; the same generator state gives the same pictures."""

    def held_out(self) -> ImageBatch:
        """The held-out pictures, always the same, in the same order."""
