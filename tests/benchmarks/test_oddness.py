"""Whether a heat map points at a block."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.oddness import BLOCK, Trial, figures
from models.config import Geometry
from models.subscale import Progress
from service.contract.likelihood import Likelihood

GEOMETRY = Geometry(size=32, slice_size=32)
IMAGE = np.zeros((32, 32, 3), np.uint8)
EVEN = Likelihood(
    given=Progress.of(IMAGE, GEOMETRY), slices=(np.full(GEOMETRY.slice_shape, 0.1, np.float32),) * len(GEOMETRY.steps)
)


def costly(row: int, column: int) -> Likelihood:
    """Return a likelihood whose costliest window is at a place."""
    bits = EVEN.slices[0].copy()
    bits[row : row + BLOCK, column : column + BLOCK] = 5
    return replace(EVEN, slices=(bits, *EVEN.slices[1:]))


@pytest.mark.parametrize(("row", "column", "overlap"), [(10, 10, 1), (10, 14, 1 / 2), (14, 14, 1 / 4), (0, 20, 0)])
def test_an_overlap_is_the_share_of_the_block_that_is_found(row: int, column: int, overlap: float) -> None:
    """A half counts as found."""
    trial = Trial(
        image=IMAGE, pasted=IMAGE, row=10, column=10, plain=EVEN, odd=costly(row, column), mislabelled=costly(0, 0)
    )
    assert trial.overlap(trial.odd) == overlap
    found = figures([trial])
    assert found["costliest_window_covers_half_of_the_block"] == (overlap >= 1 / 2)
    assert (found["block_raises_the_bits"], found["right_label_takes_fewer_bits"]) == (1, 1)
