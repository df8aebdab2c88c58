"""Glyph masks with their labels: the training and test data of verifier and reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from training.data.masks import Masks
from training.data.symbols import Pack
from training.data.tiles import Mask
from training.data.vocabulary import MONOGRAMS, STYLE, Family, Style

Indices = NDArray[np.int64]

ICON_STYLES: Final = (Style.SOLID, Style.OUTLINE)
"""Styles of icons."""

FACES: Final = tuple(style for style in Style if style not in ICON_STYLES)
"""Styles of letters."""

_FIRST_FACE: Final = STYLE.index(FACES[0])


@dataclass(frozen=True, kw_only=True)
class Glyphs:
    """Masks (n, H, W) uint8; labels (n,) are positions in `LABEL.values`; styles (n,) in `STYLE.values`."""

    masks: Masks
    labels: Indices
    styles: Indices

    def __len__(self) -> int:
        return len(self.masks)

    @classmethod
    def train(cls, pack: Pack) -> Glyphs:
        """Return the drawings that are trained on."""
        return cls(masks=pack.glyphs, labels=pack.glyph_labels - 1, styles=pack.glyph_styles - 1)

    @classmethod
    def held_out(cls, pack: Pack) -> Glyphs:
        """Return the drawings of other icon sets and font families."""
        return cls(masks=pack.held_glyphs, labels=pack.held_glyph_labels - 1, styles=pack.held_glyph_styles - 1)

    @property
    def letters(self) -> NDArray[np.bool_]:
        """Which of them are letters or digits: (n,)."""
        return self.labels < len(MONOGRAMS)

    def family(self, index: int) -> Family:
        """Return whether a glyph is a letter or an icon."""
        return Family.LETTERS if self.letters[index] else Family.ICONS

    @property
    def faces(self) -> Indices:
        """Positions in `FACES`, -1 for icons: (n,)."""
        return np.maximum(self.styles + 1 - _FIRST_FACE, -1)

    def balanced(self, rng: np.random.Generator, count: int) -> Indices:
        """Return positions of `count` random glyphs: a random label, then a random glyph of it."""
        which = rng.integers(len(self._by_label), size=count)
        return np.array([rng.choice(self._by_label[each]) for each in which])

    @cached_property
    def _by_label(self) -> Sequence[Indices]:
        order = np.argsort(self.labels, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self.labels[order])) + 1)


def reshaped(rng: np.random.Generator, mask: Mask) -> Mask:
    """Return a mask in another shape: narrower or wider, slanted, lighter or bolder."""
    width, height, slant, turn = rng.uniform(0.85, 1.2), rng.uniform(0.9, 1.1), *rng.uniform(-0.1, 0.1, 2)
    matrix = np.array([[width, slant], [turn * 0.7, height]])
    middle = np.full(2, len(mask) / 2)
    start = middle - matrix @ middle
    image = Image.fromarray(mask).transform(
        mask.shape,
        Image.Transform.AFFINE,
        (*matrix[0], start[0], *matrix[1], start[1]),
        Image.Resampling.BILINEAR,
    )
    weight = rng.random()
    if weight < 0.15:  # noqa: PLR2004 - some bolder, some lighter
        image = image.filter(ImageFilter.MaxFilter(3))
    elif weight < 0.3:  # noqa: PLR2004 - as above
        image = image.filter(ImageFilter.MinFilter(3))
    return np.asarray(image)
