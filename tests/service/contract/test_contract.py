"""The codec of slices and the replay of streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import redis

from service.contract.statuses import EventKind
from service.contract.stream import SliceEntry, replay
from service.contract.transitions import Transitions
from service.images import generated
from tests.harness.drawing import GEOMETRY, a_picture, a_running_job, an_entry, events_of, record_of


def test_a_drawing_comes_back_from_its_stream(store: redis.Redis) -> None:
    """What was appended is what a reader sees, for each picture of a job."""
    transitions = Transitions(store)
    claim = a_running_job(transitions, num_images=2)
    for step in range(len(GEOMETRY.steps)):
        for image in range(2):
            transitions(claim.append(an_entry(step, image=image, seed=image)))
    images = replay(record_of(store, claim).request, events_of(store, claim))
    for image in range(2):
        np.testing.assert_array_equal(generated(images.progress[image]).image(), a_picture(image).image())


def test_a_restart_voids_what_was_drawn_before(store: redis.Redis) -> None:
    """A reader follows the worker back to the beginning, and on from there."""
    transitions = Transitions(store)
    claim = a_running_job(transitions)
    transitions(claim.append(replace(an_entry(0, seed=1), score=0.5)))
    transitions(claim.append(an_entry(1, seed=1)))
    assert replay(record_of(store, claim).request, events_of(store, claim)).scores == (0.5,)
    transitions(claim.restart(weights="other", numerics="n"))
    transitions(claim.append(an_entry(0, seed=2)))
    (picture,) = replay(record_of(store, claim).request, events_of(store, claim)).progress
    assert picture.done == 1
    assert replay(record_of(store, claim).request, events_of(store, claim)).scores == (None,)
    np.testing.assert_array_equal(picture.slices[0], a_picture(2).slices[0])


def test_a_slice_of_another_version_is_refused() -> None:
    """Old readers do not guess at new entries."""
    with pytest.raises(ValueError, match="version 2"):
        SliceEntry.decode({b"version": b"2"}, GEOMETRY)


def test_three_kinds_of_events_are_final() -> None:
    """After them a stream is closed."""
    assert {kind for kind in EventKind if kind.final} == {EventKind.SUCCEEDED, EventKind.FAILED, EventKind.CANCELED}
