"""Glyphs apart from colour, place and size, and how near one is to another."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.subscale import Bytes

SIDE: Final = 16
_INK: Final = 0.3
_CHUNK: Final = 64

Shapes = NDArray[np.float32]
"""(n, SIDE * SIDE), coverage from 0 to 255."""


def shapes(pictures: Bytes) -> Shapes:
    """Of glyphs alone on white, (n, H, W, 3): cropped to their ink, the longer side stretched to 16 pixels, centred."""
    return np.stack([shape(picture) for picture in pictures])


def shape(picture: Bytes) -> NDArray[np.float32]:
    """One of `shapes`; zero for a blank picture."""
    darkness = (255.0 - picture.astype(np.float64)).sum(-1)
    ink = np.clip(darkness / max(float(np.percentile(darkness, 95)), 1.0), 0, 1)
    rows, columns = np.flatnonzero((ink > _INK).any(1)), np.flatnonzero((ink > _INK).any(0))
    canvas = np.zeros((SIDE, SIDE), np.float32)
    if not len(rows) or darkness.max() < 1:
        return canvas.ravel()
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = SIDE / max(width, height)
    fitted = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(np.rint(ink * 255).astype(np.uint8)).resize(fitted, Image.Resampling.BILINEAR, box=box)
    top, left = (SIDE - fitted[1]) // 2, (SIDE - fitted[0]) // 2
    canvas[top : top + fitted[1], left : left + fitted[0]] = np.asarray(small)
    return canvas.ravel()


def distances(some: Shapes, others: Shapes) -> NDArray[np.float32]:
    """Mean absolute difference of each pair, (n, m), 0 to 255."""
    chunks = [np.abs(some[i : i + 1, None] - others[None]).mean(-1) for i in range(len(some))]
    return np.concatenate(chunks)


def clusters(some: Shapes, gap: float) -> int:
    """How many glyphs are at least `gap` from every one counted before."""
    kept: list[int] = []
    for index, row in enumerate(some):
        if not kept or np.abs(some[kept] - row).mean(1).min() >= gap:
            kept.append(index)
    return len(kept)
