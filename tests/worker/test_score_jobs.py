"""Score jobs in the worker's loop: beside images, taken over, canceled, of another model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import redis

from models.config import Geometry
from service.contract.likelihood import Likelihood
from service.contract.problem_types import CHANGED, UNREADABLE
from service.contract.statuses import EventKind, Status
from service.contract.stream import SliceEntry, replay
from service.contract.transitions import cancel
from tests.harness.drawing import (
    GEOMETRY,
    a_claim,
    a_likelihood,
    a_picture,
    a_request,
    a_score_request,
    acquire,
    events_of,
)
from tests.worker.test_batch import STEPS, Workplace
from tests.worker.test_batch import place as place  # noqa: PLC0414 - a fixture


def test_a_score_job_is_computed_slice_by_slice(place: Workplace, store: redis.Redis) -> None:
    """Each slice is published; the stream has the likelihood."""
    request = a_score_request()
    job = place.submit(request)
    place.batch.run()
    record = place.record(job)
    assert (record.status, record.done, record.scores) == (Status.SUCCEEDED, (STEPS,), (None,))
    assert place.sampler.batches == []
    (found,) = replay(request, events_of(store, a_claim(request))).progress
    assert isinstance(found, Likelihood)
    np.testing.assert_array_equal(found.slices, a_likelihood().slices)


@pytest.mark.parametrize("scored_first", [True, False])
def test_scores_and_images_share_rounds(scored_first: bool, place: Workplace, store: redis.Redis) -> None:
    """Neither waits for the other, and each gets its own slices, whichever came first."""
    image, score = requests = a_request(seed=3), a_score_request()
    for request in sorted(requests, key=lambda each: bool(each.scored), reverse=scored_first):
        place.submit(request)
    place.batch.run()
    assert [step for ((_, step),) in place.sampler.batches] == list(GEOMETRY.steps)
    assert [step for (step,) in place.sampler.scored] == list(GEOMETRY.steps)
    for request, slices in ((image, a_picture(3).slices), (score, a_likelihood().slices)):
        (found,) = replay(request, events_of(store, a_claim(request))).progress
        np.testing.assert_array_equal(found.slices, slices)


def test_an_image_that_fails_beside_a_score_fails_alone(place: Workplace) -> None:
    """Their round is halved."""
    image, score = place.submit(a_request(seed=13)), place.submit(a_score_request())
    place.batch.run()
    assert [place.record(job).status for job in (image, score)] == [Status.FAILED, Status.SUCCEEDED]


def test_a_score_job_resumes_after_its_last_slice(place: Workplace, store: redis.Redis) -> None:
    """What another worker computed is not computed again."""
    request = a_score_request()
    place.submit(request)
    dead = a_claim(request)
    place.transitions(acquire(dead))
    place.transitions(dead.append(SliceEntry.of(a_likelihood(), 0)))
    place.transitions(dead.release())
    place.batch.run()
    assert len(place.sampler.scored) == STEPS - 1
    assert [event.kind for event in events_of(store, dead)].count(EventKind.SLICE) == STEPS


def test_a_canceled_score_job_stops_at_the_next_round(place: Workplace) -> None:
    """Its slices stay."""
    job = place.submit(a_score_request())

    def stop() -> None:
        if len(place.sampler.scored) == 2:
            place.transitions(cancel(job))

    place.sampler.between = stop
    place.batch.run()
    assert (place.record(job).status, place.record(job).done) == (Status.CANCELED, (3,))


def test_a_score_of_another_geometry_fails(place: Workplace) -> None:
    """As images do: the model was replaced since."""
    other = Geometry(size=GEOMETRY.size, slice_size=4, coarse_bits=GEOMETRY.fine_bits, fine_bits=GEOMETRY.coarse_bits)
    job = place.submit(replace(a_score_request(), geometry=other))
    place.batch.run()
    assert place.record(job).error == CHANGED


def test_a_damaged_image_fails_its_job(place: Workplace) -> None:
    """And no worker."""
    job = place.submit(replace(a_score_request(), scored=b"damaged"))
    place.batch.run()
    assert place.record(job).error == UNREADABLE
