"""The measuring sampler around a real, tiny pipeline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.config import Geometry, Sampling
from models.errors import ConfigError
from models.pipeline import ImageState, Pipeline
from models.subscale import Progress
from service.contract.likelihood import Likelihood
from tests.harness.drawing import a_picture
from tests.harness.toy import ToyVerifier, toy_card, toy_networks
from worker.jobs.score_state import ScoreState
from worker.telemetry.rounds import MeasuredSampler, Round

GEOMETRY = Geometry(size=8, slice_size=4)


@pytest.fixture
def pipeline() -> Pipeline:
    """Four images at a time."""
    return Pipeline(toy_networks(GEOMETRY), toy_card(GEOMETRY), capacity=4)


def states(number: int) -> list[ImageState]:
    """So many images, not begun."""
    return [ImageState(seed=seed, controls=(0, 0, 0), progress=Progress(geometry=GEOMETRY)) for seed in range(number)]


def test_a_measured_round_draws_the_same(pipeline: Pipeline) -> None:
    """Its stage, rows, pixels and passes are reported to all listeners."""
    reported: list[Round] = []
    also: list[Round] = []
    generated = MeasuredSampler(pipeline, reported.append, also.append).advance(states(3))
    assert [state.progress.slices[0].tolist() for state in generated] == [
        state.progress.slices[0].tolist() for state in pipeline.advance(states(3))
    ]
    (measured,) = reported
    assert also == reported
    assert (measured.stage, measured.rows, measured.lanes, measured.capacity) == ("base", 3, 3, 4)
    assert measured.pixels == 3 * GEOMETRY.positions
    assert measured.pixels / 4 <= measured.passes <= measured.pixels
    assert measured.seconds > 0


def test_candidates_and_guidance_are_measured_as_lanes() -> None:
    """Three candidates, each guided: six lanes, and the pixels of three slices."""
    card = replace(toy_card(GEOMETRY), verifier="1" * 64)
    chooser = Pipeline(toy_networks(GEOMETRY), card, capacity=4, verifier=ToyVerifier())
    reported: list[Round] = []
    (first,) = states(1)
    begun = replace(first, controls=(1, 0, 0), sampling=Sampling(guidance=2.0, candidates=3))
    sampler = MeasuredSampler(chooser, reported.append)
    sampler.advance(sampler.advance([begun]))
    assert [(each.rows, each.lanes, each.pixels) for each in reported] == [
        (1, 6, 3 * GEOMETRY.positions),
        (1, 1, GEOMETRY.positions),
    ]


def test_a_round_of_likelihoods_is_measured(pipeline: Pipeline) -> None:
    """Without pixels and passes: nothing is sampled."""
    reported: list[Round] = []
    sampler = MeasuredSampler(pipeline, reported.append)
    begun = [ScoreState(controls=(0, 0, 0), progress=Likelihood(given=a_picture(seed))) for seed in range(2)]
    assert [state.progress.done for state in sampler.score(sampler.score(begun))] == [2, 2]
    assert [(each.stage, each.rows, each.lanes, each.pixels, each.passes) for each in reported] == [
        ("base", 2, 2, 0, 0),
        ("size", 2, 2, 0, 0),
    ]


def test_a_round_that_fails_is_not_reported(pipeline: Pipeline) -> None:
    """It would spoil the averages."""
    reported: list[Round] = []
    sampler = MeasuredSampler(pipeline, reported.append)
    first = sampler.advance(states(1))
    with pytest.raises(ConfigError):
        sampler.advance([*first, replace(first[0], progress=Progress(geometry=GEOMETRY))])
    assert len(reported) == 1
