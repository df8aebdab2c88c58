"""Glyph masks with what they show: what verifier and reader are taught on, and tested on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from training.data.tiles import MASTER, Mask
from training.data.vocabulary import MONOGRAMS

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Glyphs:
    """Masks (n, 64, 64) uint8; labels (n,) are positions in `LABEL.values`; faces (n,) in `FACES`, -1 for a concept."""

    masks: NDArray[np.uint8]
    labels: Indices
    faces: Indices

    def __len__(self) -> int:
        return len(self.masks)

    def letters(self) -> NDArray[np.bool_]:
        """Which of them are letters or digits."""
        return self.labels < len(MONOGRAMS)

    def balanced(self, rng: np.random.Generator, count: int) -> Indices:
        """Return positions of `count` glyphs: every label as likely as any, and among its glyphs every one."""
        order = np.argsort(self.labels, kind="stable")
        present, starts, counts = np.unique(self.labels[order], return_index=True, return_counts=True)
        which = rng.integers(len(present), size=count)
        return np.asarray(order[starts[which] + (rng.random(count) * counts[which]).astype(np.int64)], np.int64)


def reshaped(rng: np.random.Generator, mask: Mask) -> Mask:
    """As another face or set might draw it: narrower or wider, slanted, lighter or bolder."""
    width, height, slant, turn = rng.uniform(0.8, 1.3), rng.uniform(0.95, 1.15), *rng.uniform(-0.12, 0.12, 2)
    matrix = np.array([[width, slant], [turn * 0.7, height]])
    start = MASTER / 2 - matrix @ [MASTER / 2, MASTER / 2]
    image = Image.fromarray(mask).transform(
        (MASTER, MASTER),
        Image.Transform.AFFINE,
        (*matrix[0], start[0], *matrix[1], start[1]),
        Image.Resampling.BILINEAR,
    )
    weight = rng.random()
    if weight < 0.2:  # noqa: PLR2004 - one in five bolder, one in five lighter
        image = image.filter(ImageFilter.MaxFilter(3))
    elif weight < 0.4:  # noqa: PLR2004 - as above
        image = image.filter(ImageFilter.MinFilter(3))
    return np.asarray(image)


FACES = ("solid",)


def temporary(pack):
    return Glyphs(masks=pack.glyphs, labels=pack.glyph_labels - 1, faces=np.full(len(pack.glyphs), -1))
