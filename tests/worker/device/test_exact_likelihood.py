"""The likelihood of given images, against `training.evaluate`, which computes that of the tables in docs/quality.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.config import Geometry, Order, Stage
from models.errors import ConfigError, NotFiniteError
from models.pipeline import Pipeline
from models.subscale import Bytes
from service.contract.likelihood import Likelihood, packed
from tests.harness.toy import toy_card, toy_networks
from training.data.symbols import ImageBatch
from training.evaluate import shares
from worker.device.exact_likelihood import scored
from worker.jobs.score_state import ScoreState

SHIPPED = Path(__file__).parents[3] / "models" / "weights" / "symbols-64"
GEOMETRIES = [
    Geometry(size=8, slice_size=4),
    Geometry(size=8, slice_size=4, coarse_bits=5, fine_bits=3),
    Geometry(size=8, slice_size=4, coarse_bits=2, fine_bits=3, channels=1),
    Geometry(size=16, slice_size=4, order=Order.INTERLACED),
    Geometry(size=4, slice_size=4),
]


def toy(geometry: Geometry, *, threads: int = 1) -> Pipeline:
    """Return a pipeline of random weights."""
    return Pipeline(toy_networks(geometry, scale=0.1), toy_card(geometry), threads=threads)


def some_images(geometry: Geometry, count: int = 2) -> Bytes:
    """Return images of random bytes, (count, H, W, C)."""
    shape = (count, geometry.size, geometry.size, geometry.channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def begun(pipeline: Pipeline, images: Bytes, controls: tuple[int, ...]) -> list[ScoreState]:
    """Return the states of images of bytes before their first slices."""
    geometry = pipeline.card.config.geometry
    values = images >> np.uint8(8 - geometry.bits)
    return [
        ScoreState(controls=controls, progress=Likelihood.blank(packed(each), geometry=geometry)) for each in values
    ]


def complete(pipeline: Pipeline, states: list[ScoreState]) -> list[Likelihood]:
    """Return their likelihoods."""
    while states[0].progress.next:
        states = scored(pipeline, states)
    return [state.progress for state in states]


def evaluated(pipeline: Pipeline, images: Bytes, controls: tuple[int, ...]) -> dict[Stage, NDArray[np.float64]]:
    """Return what `training.evaluate` says."""
    index = np.array([controls] * len(images), np.int64)
    batch = ImageBatch(images=images, controls=index, families=np.zeros(len(images), np.int64))
    return shares(pipeline.networks, pipeline.card.config.geometry, batch)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_bits_per_dim_are_those_of_the_evaluation(geometry: Geometry) -> None:
    """By network, to 1e-4, of images whose bits per dimension are a thousand times that."""
    pipeline, images = toy(geometry), some_images(geometry)
    expected = evaluated(pipeline, images, (1, 0, 2))
    for number, likelihood in enumerate(complete(pipeline, begun(pipeline, images, (1, 0, 2)))):
        found = likelihood.bits_per_dim()
        assert found.keys() == expected.keys()
        assert {stage: abs(found[stage] - expected[stage][number]) < 1e-4 for stage in found} == dict.fromkeys(
            found, True
        )
        assert sum(found.values()) > 0.1


def test_bits_per_dim_of_the_shipped_model_are_those_of_the_evaluation() -> None:
    """Of an image of chance, and of a white one, which the model expects."""
    pipeline = Pipeline.load(SHIPPED)
    images = some_images(pipeline.card.config.geometry)
    images[1] = 255
    controls = (0,) * len(pipeline.card.config.controls)
    expected = evaluated(pipeline, images, controls)
    noise, white = complete(pipeline, begun(pipeline, images, controls))
    for number, likelihood in enumerate((noise, white)):
        for stage, share in likelihood.bits_per_dim().items():
            assert share == pytest.approx(expected[stage][number], abs=1e-4)
    assert sum(white.bits_per_dim().values()) < 0.1
    assert sum(noise.bits_per_dim().values()) > 8


def test_controls_change_the_likelihood() -> None:
    """They reach the networks."""
    geometry = GEOMETRIES[0]
    pipeline, images = toy(geometry), some_images(geometry, 1)
    (red,), (blue,) = (complete(pipeline, begun(pipeline, images, (0, hue, 0))) for hue in (1, 2))
    assert red.bits_of_slices() != blue.bits_of_slices()


def test_an_image_alone_has_the_bits_that_it_has_beside_others() -> None:
    """To the last bit, with threads too: a job that another worker continues has one result."""
    geometry = GEOMETRIES[0]
    images = some_images(geometry, 5)
    pipeline = toy(geometry, threads=2)
    together = complete(pipeline, begun(pipeline, images, (1, 1, 1)))
    for image, likelihood in zip(images, together, strict=True):
        (alone,) = complete(pipeline, begun(pipeline, image[None], (1, 1, 1)))
        np.testing.assert_array_equal(alone.slices, likelihood.slices)


def test_a_likelihood_that_is_no_number_is_an_error() -> None:
    """And not a score."""
    pipeline = toy(GEOMETRIES[0])
    states = begun(pipeline, some_images(GEOMETRIES[0], 1), (1, 0, 0))
    pipeline.network(Stage.BASE).get_parameter("embedder.controls.0.weight")[1] = float("nan")
    with pytest.raises(NotFiniteError, match="base"):
        scored(pipeline, states)


def test_a_complete_likelihood_has_no_next_slice() -> None:
    """To continue one is a mistake of the caller."""
    pipeline = toy(GEOMETRIES[4])
    states = begun(pipeline, some_images(GEOMETRIES[4], 1), (0, 0, 0))
    for _ in pipeline.card.config.geometry.steps:
        states = scored(pipeline, states)
    with pytest.raises(ConfigError, match="complete"):
        scored(pipeline, states)
    assert not torch.is_inference_mode_enabled()
