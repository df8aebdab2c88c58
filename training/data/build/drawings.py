"""A glyph mask with its label, style and source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.tiles import MASTER, Mask
from training.data.vocabulary import Family, Style


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One glyph mask (128, 128) uint8; `source` is the icon set or the font family, `name` the icon's or the weight."""

    pixels: Mask
    family: Family
    label: str
    style: Style
    source: str
    name: str

    @property
    def thumbnail(self) -> NDArray[np.float32]:
        """16 x 16 block means as one float vector, for the comparison of near copies."""
        factor = MASTER // 16
        return np.asarray(self.pixels.reshape(16, factor, 16, factor).mean(axis=(1, 3)), np.float32).ravel()
