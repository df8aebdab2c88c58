"""Near copies: whether what is drawn was learnt by heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.subscale import Bytes
from training.data.symbols import Pack
from training.data.vocabulary import LABEL
from training.judging.glyphs import Glyphs
from training.judging.keepers import composed
from training.judging.looks import tile_of
from training.judging.recovery import Floats, recover
from training.judging.shares import Share

COPY: Final = 3.0
"""Mean absolute difference of 16 x 16 thumbnails, in 0..255, below which two drawings are near copies, as in the data set."""

_SIDE: Final = 16
_EXTENT: Final = 56 / 64
_AGAIN: Final = 64

Thumbnails = NDArray[np.float32]


def thumbnail(coverage: Floats) -> Thumbnails:
    """Return (256,) in 0..255 of a glyph in 0..1, its ink boxed to one extent, so that place and size do not matter."""
    rows, columns = (np.flatnonzero(coverage.max(axis=axis) > 0.5) for axis in (1, 0))  # noqa: PLR2004 - half covered
    if not len(rows):
        return np.zeros(_SIDE * _SIDE, np.float32)
    low, high = np.array([columns[0], rows[0]]), np.array([columns[-1], rows[-1]]) + 1
    half = float((high - low).max()) / _EXTENT / 2
    x, y = (low + high) / 2
    margin = int(np.ceil(half))
    padded = Image.fromarray(np.pad(np.rint(coverage * 255).astype(np.uint8), margin))
    window = (x - half + margin, y - half + margin, x + half + margin, y + half + margin)
    return np.asarray(padded.resize((_SIDE, _SIDE), Image.Resampling.BOX, box=window), np.float32).ravel()


def copied(coverages: Sequence[Floats], others: Sequence[Floats]) -> list[bool]:
    """Whether each glyph is a near copy of any of the others."""
    gallery = np.stack([thumbnail(other) for other in others])
    return [bool(np.abs(gallery - thumbnail(each)).mean(axis=1).min() < COPY) for each in coverages]


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Shares of near copies of a label's training drawings: among images, among held-out drawings, and among pictures
    composed of the training drawings themselves, which says how many copies are found at all.
    """

    label: str
    images: Share
    held_out: Share
    found: Share


def copies(pictures: Sequence[Bytes], pack: Pack, label: str) -> Copies:
    """Compare pictures (H, W, 3) that were asked to show `label` with the drawings of that label."""
    train, held_out = Glyphs.train(pack), Glyphs.held_out(pack)
    gallery = _drawings(train, label)
    chosen = np.flatnonzero(train.labels == LABEL.values.index(label))[:_AGAIN]
    again, _ = composed(np.random.default_rng(0), train, chosen, size=len(pictures[0]))
    return Copies(
        label=label,
        images=Share.of(copied(_recovered(pictures), gallery)),
        held_out=Share.of(copied(_drawings(held_out, label), gallery)),
        found=Share.of(copied(_recovered(again), gallery)),
    )


def _drawings(glyphs: Glyphs, label: str) -> list[Floats]:
    """The masks of a label, at the size that pictures show them in."""
    masks = glyphs.masks[glyphs.labels == LABEL.values.index(label)]
    return [mask / 255.0 for mask in masks]


def _recovered(pictures: Sequence[Bytes]) -> list[Floats]:
    return [recover(picture, tile_of(picture)).coverage for picture in pictures]
