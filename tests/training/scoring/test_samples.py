"""Images for sheets and for the judge: from nothing, or enlarged."""

from __future__ import annotations

import numpy as np

from models.config import Geometry, Order
from models.pipeline import Pipeline
from tests.harness.toy import toy_card, toy_networks
from training.scoring.samples import samples

GEOMETRY = Geometry(size=16, slice_size=4, order=Order.INTERLACED)


def test_enlarged_images_keep_the_coarse_bits_of_each_start() -> None:
    """Every other pixel is that of the smaller image; without it the same request gives another image."""
    pipeline = Pipeline(toy_networks(GEOMETRY), toy_card(GEOMETRY), capacity=2)
    starts = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    enlarged = samples(pipeline, [{}] * 3, starts=starts)
    assert (enlarged[:, ::2, ::2] >> GEOMETRY.fine_bits == starts >> GEOMETRY.fine_bits).all()
    assert (enlarged != samples(pipeline, [{}] * 3)).any()
