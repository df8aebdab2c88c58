"""The estimate of a long queue, beside the same simulation as `test_eta`."""

from __future__ import annotations

import statistics

import pytest

from tests.service.test_eta import ratios

SIZES = [1, 4, 2, 8, 1, 3, 1, 5, 2, 1]


@pytest.mark.parametrize(("capacity", "per_row"), [(4, 0.1), (4, 0.3), (4, 1.0), (16, 0.3), (16, 1.0)])
def test_the_median_estimate_of_fifty_queued_jobs_is_within_a_quarter(capacity: int, per_row: float) -> None:
    """Of mixed sizes, at one worker, from the first measured picture on. Where sixteen rows cost hardly more than the one
    that was measured it is a third too long, until full rounds have been.
    """
    found = ratios(SIZES * 5, capacity=capacity, workers=1, per_row=per_row)
    assert statistics.median(abs(ratio - 1) for ratio in found) < 0.25
