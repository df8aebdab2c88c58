"""Likelihoods: their place in the image, their sums, their records and streams."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import redis

from models.config import Geometry, Order, Stage
from models.subscale import Progress
from service.contract.likelihood import Likelihood, packed
from service.contract.request import JobRequest, Task
from service.contract.stream import SliceEntry, replay
from service.contract.transitions import Outcome, Transitions, create
from tests.harness.drawing import (
    GEOMETRY,
    a_claim,
    a_likelihood,
    a_picture,
    a_request,
    a_score_request,
    acquire,
    events_of,
    record_of,
)


@pytest.mark.parametrize("order", Order)
def test_a_pixel_has_the_bits_of_its_channels_coarse_and_fine(order: Order) -> None:
    """Whatever the order of the slices."""
    geometry = Geometry(size=8, slice_size=2, coarse_bits=5, fine_bits=3, order=order)
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    whole = Progress.of(image, geometry)
    likelihood = Likelihood(given=whole, slices=tuple(each.astype(np.float32) for each in whole.slices))
    coarse, fine = whole.values
    np.testing.assert_array_equal(likelihood.bits_per_pixel(), (coarse.astype(int) + fine).sum(-1))


def test_the_bits_of_slices_stages_and_pixels_add_up() -> None:
    """To the bits of the image; an incomplete likelihood has those of its slices."""
    whole = a_likelihood()
    assert math.isclose(sum(whole.bits_of_slices()), whole.bits_per_pixel().sum())
    assert math.isclose(sum(whole.bits_per_dim().values()) * GEOMETRY.dimensions, whole.bits_per_pixel().sum())
    first = replace(whole, slices=whole.slices[:1])
    shares = first.bits_per_dim()
    assert shares[Stage.BASE] == whole.bits_per_dim()[Stage.BASE]
    assert (shares[Stage.SIZE], shares[Stage.DEPTH]) == (0, 0)
    assert not first.bits_per_pixel()[1:, 1:][::2, ::2].any()


@pytest.mark.parametrize("bits", [np.zeros((4, 4, 3), np.float64), np.zeros((4, 4, 1), np.float32)])
def test_a_slice_of_another_form_is_refused(bits: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    """It would be read wrongly from the stream."""
    with pytest.raises(ValueError, match=r"expected float32 \(4, 4, 3\)"):
        a_likelihood().with_slice(bits)


def test_a_score_job_is_read_as_it_was_written() -> None:
    """With its image."""
    request = replace(a_score_request(), metadata={"order": 17})
    found = JobRequest.from_json(request.to_json())
    assert found == request
    assert (found.task, a_request().task) == (Task.SCORE, Task.GENERATE)
    np.testing.assert_array_equal(Likelihood.blank(found.scored, found.geometry).given.image(), a_picture().image())
    assert packed(a_picture().image()) == request.scored


def test_a_release_without_scores_cannot_read_one() -> None:
    """It requires a seed and a temperature; a release that ignored the image would generate another."""
    assert not {"seed", "temperature"} & json.loads(a_score_request().to_json()).keys()
    assert {"seed", "temperature"} <= json.loads(a_request().to_json()).keys()


def test_a_likelihood_comes_back_from_its_stream(store: redis.Redis) -> None:
    """Bit for bit; a restart voids it."""
    transitions, request, whole = Transitions(store), a_score_request(), a_likelihood()
    transitions(create(request, bound=9))
    claim = a_claim(request)
    transitions(acquire(claim))
    for step in range(3):
        assert transitions(claim.append(SliceEntry.of(whole, step))).outcome is Outcome.DONE
    (found,) = replay(record_of(store, claim).request, events_of(store, claim)).progress
    assert isinstance(found, Likelihood)
    np.testing.assert_array_equal(found.slices, whole.slices[:3])
    np.testing.assert_array_equal(found.given.image(), a_picture().image())
    transitions(claim.restart(weights="new", numerics="n"))
    (voided,) = replay(request, events_of(store, claim)).progress
    assert (voided.done, record_of(store, claim).done) == (0, (0,))
