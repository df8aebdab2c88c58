"""The estimate of a long queue, beside the same simulation as `test_eta`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import pytest

from tests.service.jobs.test_eta import Simulation, ratios

QUEUES = {
    "single pictures": [1] * 50,
    "mixed sizes": [1, 4, 2, 8, 1, 3, 1, 5, 2, 1] * 5,
    "large jobs": [8] * 50,
}


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("capacity", [4, 16])
@pytest.mark.parametrize("per_row", [0.01, 0.1, 1.0, 10.0])
def test_the_median_estimate_of_fifty_queued_jobs_is_within_a_quarter(
    queue: str, capacity: int, per_row: float
) -> None:
    """At one worker that has rehearsed: the first estimates, given at submission, and all, whatever a further row costs."""
    moments = ratios(Simulation(QUEUES[queue], capacity=capacity, workers=1, per_row=per_row))
    assert len(moments[0]) == 50
    assert median_error(moments[0]) < 0.25
    assert median_error(ratio for moment in moments for ratio in moment) < 0.25


@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("base_lanes", [4, 8])
def test_guided_candidates_are_foreseen(queue: str, base_lanes: int) -> None:
    """Their base rounds are dear and hold few pictures: still within a quarter, in the median."""
    moments = ratios(Simulation(QUEUES[queue], capacity=16, workers=1, per_row=1.0, base_lanes=base_lanes))
    assert median_error(moments[0]) < 0.25
    assert median_error(ratio for moment in moments for ratio in moment) < 0.25


def median_error(found: Iterable[float]) -> float:
    """As a share of the truth."""
    return statistics.median(abs(ratio - 1) for ratio in found)
