"""Glyphs without colour, place and size, and the distance of one to another."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.subscale import Bytes

SIDE: Final = 16
_REACH: Final = 2.3
"""Half the side of the window around a glyph, in root mean square distances of its ink from the centre."""

_FULL: Final = 1.5
"""Gradients make ink lighter by a third at most: ink of that darkness counts as full coverage."""

_FAINT: Final = 0.1

Shapes = NDArray[np.float32]
"""(n, SIDE * SIDE), coverage from 0 to 255."""


def shapes(images: Bytes) -> Shapes:
    """Return the shapes of glyphs alone on white, (n, H, W, 3): black ink, centred, with equal spread.

    Moments decide, and not the bounds of the ink, which a stray pixel or a shift by half a pixel would move.
    """
    return np.stack([shape(image) for image in images])


def shape(image: Bytes) -> NDArray[np.float32]:
    """Return the shape of one glyph, zero for a blank image."""
    darkness = (255.0 - image.astype(np.float64)).sum(-1)
    if darkness.max() < 1:
        return np.zeros(SIDE * SIDE, np.float32)
    ink = np.clip(_FULL * darkness / max(float(np.percentile(darkness, 95)), 1.0), 0, 1)
    ink[ink < _FAINT] = 0
    row, column = (np.arange(side) + 0.5 for side in ink.shape)
    y, x = (ink.sum(1) @ row) / ink.sum(), (ink.sum(0) @ column) / ink.sum()
    square = (ink.sum(1) @ (row - y) ** 2 + ink.sum(0) @ (column - x) ** 2) / ink.sum()
    half = max(_REACH * float(np.sqrt(square)), 1.0)
    margin = int(np.ceil(half))
    padded = Image.fromarray(np.pad(np.rint(ink * 255).astype(np.uint8), margin))
    seen = (x - half + margin, y - half + margin, x + half + margin, y + half + margin)
    return np.asarray(padded.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=seen), np.float32).ravel()


def distances(some: Shapes, others: Shapes) -> NDArray[np.float32]:
    """Return the mean absolute difference of each pair, (n, m), 0 to 255."""
    chunks = [np.abs(some[i : i + 1, None] - others[None]).mean(-1) for i in range(len(some))]
    return np.concatenate(chunks)


def clusters(some: Shapes, gap: float) -> int:
    """Return how many glyphs are at least `gap` from all counted before them."""
    kept: list[int] = []
    for index, row in enumerate(some):
        if not kept or np.abs(some[kept] - row).mean(1).min() >= gap:
            kept.append(index)
    return len(kept)
