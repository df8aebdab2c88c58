"""Near copies: whether images repeat training drawings."""

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
from training.judging.glyph_recovery import Floats, recover
from training.judging.glyphs import Glyphs
from training.judging.keepers import composed
from training.judging.looks import tile_of
from training.judging.proportions import Proportion
from training.scoring.scores import markdown

COPY: Final = 1.0
"""Mean absolute difference of 16 x 16 thumbnails, in 0..255, below which two drawings are near copies.

Nine in ten training drawings, composed again and recovered, lie within 0.5 to 0.8.
"""

_SIDE: Final = 16
_REACH: Final = 2.3
_AGAIN: Final = 64

Thumbnails = NDArray[np.float32]


def thumbnail(coverage: Floats) -> Thumbnails:
    """Return the thumbnail (256,) in 0..255 of a glyph in 0..1, with its ink centred and of equal spread.

    Moments decide, and not the bounds of the ink, which a shift by half a pixel or a speck would move.
    """
    total = coverage.sum()
    if total < 1:
        return np.zeros(_SIDE * _SIDE, np.float32)
    rows, columns = (np.arange(side) + 0.5 for side in coverage.shape)
    y, x = coverage.sum(axis=1) @ rows / total, coverage.sum(axis=0) @ columns / total
    spread = (coverage.sum(axis=1) @ (rows - y) ** 2 + coverage.sum(axis=0) @ (columns - x) ** 2) / total
    half = max(_REACH * float(np.sqrt(spread)), 1.0)
    margin = int(np.ceil(half))
    padded = Image.fromarray(np.pad(np.rint(coverage * 255).astype(np.uint8), margin))
    window = (x - half + margin, y - half + margin, x + half + margin, y + half + margin)
    return np.asarray(padded.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box=window), np.float32).ravel()


def distances(some: Sequence[Floats], others: Sequence[Floats]) -> Thumbnails:
    """Return the mean absolute difference of the thumbnails of each pair of glyphs: (n, m)."""
    gallery = np.stack([thumbnail(other) for other in others])
    return np.stack([np.abs(gallery - thumbnail(each)).mean(axis=1) for each in some])


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Distances of glyphs to the nearest training drawing of their label: the share within `COPY`, and the median.

    `again`: training drawings, composed again, which are copies.
    """

    label: str
    images: Proportion
    held_out: Proportion
    again: Proportion
    image_distance: float
    held_out_distance: float
    again_distance: float


def copies(images: Sequence[Bytes], pack: Pack, label: str) -> Copies:
    """Compare images (H, W, 3) of requests for `label` with the drawings of that label."""
    train, held_out = Glyphs.train(pack), Glyphs.held_out(pack)
    own, others = (np.flatnonzero(each.labels == LABEL.values.index(label)) for each in (train, held_out))
    gallery = [mask / 255.0 for mask in train.masks[own]]
    size, rng = len(images[0]), np.random.default_rng(0)
    real, _ = composed(rng, held_out, others, size=size)
    again, _ = composed(rng, train, own[:_AGAIN], size=size)
    drawn, kept, copied = (distances(_recovered(each), gallery).min(axis=1) for each in (images, real, again))
    return Copies(
        label=label,
        images=Proportion.of(list(drawn < COPY)),
        held_out=Proportion.of(list(kept < COPY)),
        again=Proportion.of(list(copied < COPY)),
        image_distance=float(np.median(drawn)),
        held_out_distance=float(np.median(kept)),
        again_distance=float(np.median(copied)),
    )


def _recovered(images: Sequence[Bytes]) -> list[Floats]:
    return [recover(image, tile_of(image)).coverage for image in images]


def table(found: Copies) -> str:
    """Return the comparison as Markdown."""
    rows = [
        [f"images of {found.label}", str(found.images.count), str(found.images), f"{found.image_distance:.1f}"],
        ["real held-out drawings", str(found.held_out.count), str(found.held_out), f"{found.held_out_distance:.1f}"],
        ["training drawings, again", str(found.again.count), str(found.again), f"{found.again_distance:.1f}"],
    ]
    return markdown(["glyphs", "n", f"within {COPY:g} of a training drawing (95 %)", "median distance"], rows)
