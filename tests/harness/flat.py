"""Flat images in few colours: a data set that a toy network can learn in forty steps."""

from __future__ import annotations

import numpy as np

from models.config import Control, Geometry
from tests.harness.toy import CONTROLS
from training.data.symbols import ImageBatch

GEOMETRY = Geometry(size=8, slice_size=4)


class Flat:
    """Images of 8 x 8 in one of three colours a channel, with random controls."""

    controls: tuple[Control, ...] = CONTROLS
    families: tuple[str, ...] = ("flat",)

    def draw(self, rng: np.random.Generator, count: int) -> ImageBatch:
        """`count` of them."""
        colour = rng.choice(np.array([20, 130, 250], np.uint8), (count, 1, 1, 3))
        images = np.ascontiguousarray(np.broadcast_to(colour, (count, 8, 8, 3)))
        controls = np.stack([rng.integers(1, len(c.values) + 1, count) for c in CONTROLS], 1)
        return ImageBatch(images=images, controls=controls, families=np.zeros(count, np.int64))

    def held_out(self) -> ImageBatch:
        """Sixteen, always the same."""
        return self.draw(np.random.default_rng(0), 16)
