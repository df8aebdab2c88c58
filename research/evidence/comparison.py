"""Samples of models beside real drawings: for the same requests, other ones, and held-out ones of the same labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.subscale import Bytes, to_full_range
from research.evidence.drawings import Drawings
from research.evidence.model_samples import BITS, SampleSeries
from research.evidence.sample_requests import LABELS, SampleRequests, labels_in_turn, real_images
from training.data.symbols import Pack
from training.data.vocabulary import LABEL
from training.judging.glyphs import Glyphs
from training.judging.keepers import composed


@dataclass(frozen=True, kw_only=True)
class SampleComparison:
    """Equally many images of each source, in whole rounds of labels, with `BITS` bits of each channel.

    - `real`: the training drawings of the requests; `other_real`: random other ones of the same labels
    - `held_out`: all held-out drawings of these labels
    - `images` and the drawings in them, `samples`, by title of the series
    """

    requests: SampleRequests
    size: int
    real: Drawings
    other_real: Drawings
    held_out: Drawings
    images: dict[str, Bytes]
    samples: dict[str, Drawings]

    @classmethod
    def of(cls, pack: Pack, series: Sequence[SampleSeries], labels: Sequence[str] = LABELS) -> Self:
        """Return as many whole rounds of labels as every series has.

        Raises FileNotFoundError for a series without images, ValueError if they are not all of one size.
        """
        images = {each.title: reduced(each.images()) for each in series}
        size, *further = {some.shape[2] for some in images.values()}
        if further:
            raise ValueError(f"compare models of one size at a time, not of {sorted([size, *further])} pixels")
        count = min(len(some) for some in images.values()) // len(labels) * len(labels)
        requests, others = (labels_in_turn(pack, labels, seed=seed).first(count) for seed in (1, 2))
        images = {title: some[:count] for title, some in images.items()}
        return cls(
            requests=requests,
            size=size,
            real=Drawings.of(reduced(real_images(pack, requests, size=size, seed=3)), requests.labels),
            other_real=Drawings.of(reduced(real_images(pack, others, size=size, seed=4)), others.labels),
            held_out=held_out_drawings(pack, labels, size=size),
            images=images,
            samples={title: Drawings.of(some, requests.labels) for title, some in images.items()},
        )


def held_out_drawings(pack: Pack, labels: Sequence[str], *, size: int) -> Drawings:
    """Return all held-out drawings of some labels, in any hue, on each tile in turn."""
    glyphs = Glyphs.held_out(pack)
    chosen = np.flatnonzero(np.isin(glyphs.labels, [LABEL.values.index(label) for label in labels]))
    images, _ = composed(np.random.default_rng(5), glyphs, chosen, size=size)
    return Drawings.of(reduced(np.stack(images)), glyphs.labels[chosen])


def reduced(images: Bytes) -> Bytes:
    """Return images (n, H, W, C) with their `BITS` most significant bits, in full range."""
    return to_full_range(images >> np.uint8(8 - BITS), BITS)
