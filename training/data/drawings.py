"""The value objects that sources hand to the pack: a glyph mask or a picture, with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.tiles import MASTER
from training.data.vocabulary import Family


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One glyph mask (64, 64), or one picture (64, 64, 3) on white; uint8.

    `concept` is what it shows, shared by all who drew the same thing; a letter's is its font face.
    """

    pixels: NDArray[np.uint8]
    family: Family
    label: str
    concept: str
    source: str

    @property
    def thumbnail(self) -> NDArray[np.float32]:
        """16 x 16 block means as one float vector of one or three channels: what twins are measured on."""
        factor = MASTER // 16
        channels = self.pixels.reshape(16, factor, 16, factor, -1)
        return np.asarray(channels.mean(axis=(1, 3)), np.float32).ravel()
