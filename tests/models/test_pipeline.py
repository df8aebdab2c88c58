"""What the pipeline makes sure of beside drawing."""

from __future__ import annotations

import pytest

from models.config import Geometry, Stage
from models.errors import NotFiniteError
from models.pipeline import Pipeline
from tests.harness.image_states import finish, images, states
from tests.harness.toy import toy_card, toy_networks

GEOMETRY = Geometry(size=4, slice_size=4)

WRONG = (
    "embedder.controls.0.weight",
    "decoder.first.bias",
    "decoder.blocks.1.qkv.bias",
    "decoder.blocks.1.feed.2.bias",
    "decoder.head.out.0.bias",
    "decoder.head.out.2.bias",
)
"""Weights from the first to the last."""


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """The same for all: each test leaves it as it was."""
    return Pipeline(toy_networks(GEOMETRY), toy_card(GEOMETRY), capacity=2)


@pytest.fixture(scope="module")
def calm(pipeline: Pipeline) -> list[bytes]:
    """Two images of it."""
    return images(finish(pipeline, states(2, GEOMETRY)))


@pytest.mark.parametrize("stage", GEOMETRY.stages)
@pytest.mark.parametrize("where", WRONG)
def test_logits_that_are_not_numbers_are_refused_and_leave_nothing_behind(
    where: str, stage: Stage, pipeline: Pipeline, calm: list[bytes]
) -> None:
    """No image of nonsense is returned, and the next one is what it would have been."""
    weight = pipeline.network(stage).get_parameter(where)
    right = weight.clone()
    weight[:] = float("nan")
    with pytest.raises(NotFiniteError):
        finish(pipeline, states(2, GEOMETRY))
    weight.copy_(right)
    assert images(finish(pipeline, states(2, GEOMETRY))) == calm
