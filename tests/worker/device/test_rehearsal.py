"""Rounds before the first job, of a real, tiny pipeline over a real Redis."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis
import torch

from models.config import Geometry, Sampling, Stage
from models.pipeline import ImageState, Pipeline
from models.subscale import Progress
from service.contract.pace import Pace
from service.contract.redis_keys import pace_key
from tests.harness.toy import ToyVerifier, toy_card, toy_networks
from worker.device.rehearsal import rehearse
from worker.errors import StartError
from worker.telemetry.pace_estimator import PaceEstimator

GEOMETRY = Geometry(size=8, slice_size=4)


UPSCALERS = (Stage.SIZE, Stage.DEPTH)


class Rounds(PaceEstimator):
    """Remembers the lanes of each round."""

    def __init__(self, client: redis.Redis, *, model: str, capacity: int) -> None:
        super().__init__(client, model=model, capacity=capacity)
        self.seen: list[tuple[Stage, int]] = []

    def round(self, stage: Stage, *, lanes: int, seconds: float) -> None:
        """As PaceEstimator.round."""
        self.seen.append((stage, lanes))
        super().round(stage, lanes=lanes, seconds=seconds)


@pytest.fixture
def pipeline() -> Pipeline:
    """Four images at a time."""
    return Pipeline(toy_networks(GEOMETRY), toy_card(GEOMETRY), capacity=4)


def rehearsed(pipeline: Pipeline, store: redis.Redis) -> Pace | None:
    """What the API knows afterwards."""
    rehearse(pipeline, PaceEstimator(store, model="toy", capacity=pipeline.capacity))
    return Pace.decode(store.hgetall(pace_key("toy")))


def test_before_the_first_job_the_cost_of_rounds_is_known(pipeline: Pipeline, store: redis.Redis) -> None:
    """Of every network."""
    pace = rehearsed(pipeline, store)
    assert pace
    assert set(pace.stages) == set(GEOMETRY.stages)
    assert all(0 < pace.round_seconds(stage, 1) <= pace.round_seconds(stage, 4) for stage in pace.stages)


def test_the_base_is_rehearsed_with_the_models_guidance_and_candidates(store: redis.Redis) -> None:
    """One image of four lanes, then as many as the capacity has lanes for; the other networks as ever."""
    card = replace(toy_card(GEOMETRY), verifier="1" * 64, sampling=Sampling(guidance=2.0, candidates=2))
    pipeline = Pipeline(toy_networks(GEOMETRY), card, capacity=8, verifier=ToyVerifier())
    keeper = Rounds(store, model="toy", capacity=8)
    rehearse(pipeline, keeper)
    assert keeper.seen == [(Stage.BASE, 4), (Stage.BASE, 8), *((stage, n) for stage in UPSCALERS for n in (1, 8))]


def test_an_image_is_one_slice_deep_without_a_size_network(store: redis.Redis) -> None:
    """Then there are two networks."""
    geometry = Geometry(size=4, slice_size=4)
    pace = rehearsed(Pipeline(toy_networks(geometry), toy_card(geometry), capacity=2), store)
    assert pace
    assert set(pace.stages) == set(geometry.stages)


def test_images_are_the_same_after_a_rehearsal(pipeline: Pipeline, store: redis.Redis) -> None:
    """It leaves nothing behind."""
    state = ImageState(seed=3, controls=(0, 0, 0), progress=Progress(geometry=GEOMETRY))
    before = pipeline.advance([state])[0].progress.slices[0]
    rehearsed(pipeline, store)
    assert pipeline.advance([state])[0].progress.slices[0].tolist() == before.tolist()


def test_a_model_that_does_not_run_is_found_before_the_first_job(pipeline: Pipeline, store: redis.Redis) -> None:
    """It would fail every job; the pace of other workers of the model stays as it is."""
    for parameter in pipeline.networks.parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(StartError, match="toy does not run on this device: NotFiniteError"):
        rehearsed(pipeline, store)
    assert store.hgetall(pace_key("toy")) == {}
