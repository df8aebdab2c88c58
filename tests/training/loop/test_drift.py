"""Shifted context: which pixels it moves, how far, and what a network makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.config import Geometry, Stage
from models.network import Network
from tests.harness.flat import GEOMETRY, Flat
from tests.harness.toy import toy_networks
from training.loop.drift import drift, largest
from training.loop.minibatches import ExampleSource
from training.loop.recipe import Recipe


def source(stage: Stage, share: float) -> ExampleSource:
    return ExampleSource(data=Flat(), stage=stage, geometry=GEOMETRY, recipe=Recipe(batch=32, drift=share))


PHOTOGRAPHS, SYMBOLS = replace(GEOMETRY, coarse_bits=3, fine_bits=5), replace(GEOMETRY, coarse_bits=5, fine_bits=3)


@pytest.mark.parametrize(
    ("geometry", "stage", "furthest"),
    [
        (PHOTOGRAPHS, Stage.SIZE, 1),  # 16 levels are half of a symbol
        (PHOTOGRAPHS, Stage.DEPTH, 8),  # a quarter of 32
        (SYMBOLS, Stage.SIZE, 2),
        (SYMBOLS, Stage.DEPTH, 2),
    ],
)
def test_the_largest_shift_is_in_levels(geometry: Geometry, stage: Stage, furthest: int) -> None:
    """It is 16 levels, at least one symbol, and at most a quarter of the symbols."""
    assert largest(geometry, stage) == furthest


@pytest.mark.parametrize("stage", [Stage.SIZE, Stage.DEPTH])
def test_a_shift_is_one_step_for_a_rectangle(stage: Stage) -> None:
    """Of each channel there are at most two values, 0 and the shift; it stays within the stage's range, and is used."""
    rng, side = np.random.default_rng(0), GEOMETRY.slice_size
    shifts = np.stack([drift(rng, GEOMETRY, stage) for _ in range(100)])
    assert np.abs(shifts).max() == largest(GEOMETRY, stage)
    for each in shifts.reshape(100, side, side, -1).transpose(0, 3, 1, 2).reshape(-1, side, side):
        rows, columns = np.nonzero(each)
        inside = each[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] if len(rows) else each
        assert len(np.unique(inside)) <= 1


def test_the_share_of_shifted_examples_is_the_recipes() -> None:
    """No example of the first slice is shifted; of the others about the share; without a share none."""
    batches = [source(Stage.DEPTH, 0.5).minibatch(step, 0) for step in range(20)]
    shifted = torch.cat([(batch.drift != 0).flatten(1).any(1) for batch in batches])
    first = torch.cat([batch.k for batch in batches]) == GEOMETRY.sampling_order[0]
    assert not shifted[first].any()
    assert 0.3 < float(shifted[~first].float().mean()) < 0.5, "half, less the empty rectangles and shifts of 0"
    assert not source(Stage.DEPTH, 0.0).minibatch(0, 0).drift.any()


def test_a_shift_moves_earlier_pixels_only() -> None:
    """Shifting the pixel at position 5 changes logits after it, and none of its own or before it."""
    network = toy_networks(GEOMETRY)[Stage.DEPTH]
    assert isinstance(network, Network)
    image = torch.randint(0, 8, (1, GEOMETRY.size, GEOMETRY.size, 3), generator=torch.Generator().manual_seed(1))
    k, controls = torch.tensor([3]), torch.tensor([[1, 2, 0]])
    conditioning, symbols = network.condition(image, image, k, controls), network.target(image, image, k)
    shift = torch.zeros_like(symbols)
    shift[:, 5] = 4
    moved = network.logits(conditioning, symbols, shift) != network.logits(conditioning, symbols)
    changed = moved.flatten(2).any(-1)[0]
    assert not changed[:6].any()
    assert changed[6]
