"""How a capacity is chosen: the rule with made-up speeds, the memory of real boards, and on a GPU the whole."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from models.pipeline import Pipeline
from worker.device.capacity import LADDER, chosen_capacity, fitting_capacity, row_bytes

PLENTY = 1e9


def test_on_a_cpu_it_is_sixteen(models: Path) -> None:
    """Nothing is measured, so nothing can come out otherwise."""
    assert fitting_capacity(models / "toy", "cpu") == 16


def test_a_device_that_is_never_busy_gets_the_highest_rung() -> None:
    """Passes that cost the same however long they are."""
    assert chosen_capacity(PLENTY, lambda _: 0.001) == LADDER[-1]


def test_a_busy_device_gets_the_lowest() -> None:
    """Time goes with tokens, as on a CPU."""
    assert chosen_capacity(PLENTY, float) == LADDER[0]


@pytest.mark.parametrize(("fixed", "expected"), [(31, 32), (63, 64), (200, 256)])
def test_the_choice_is_where_a_pass_begins_to_last_longer(fixed: float, expected: int) -> None:
    """A fixed cost, and one for each token: worth it while the fixed one is at least as large as what is added."""
    assert chosen_capacity(PLENTY, lambda rung: fixed + rung) == expected


@pytest.mark.parametrize("noise", [0.9, 1.1])
def test_a_noisy_clock_gives_the_same_capacity(noise: float) -> None:
    """A pass measured a tenth too long or too short, at any rung, changes nothing on a device with a clear knee."""

    def measured(rung: int, odd: int) -> float:
        return max(64, rung) * (noise if rung == odd else 1)

    for odd in LADDER:
        assert chosen_capacity(PLENTY, partial(measured, odd=odd)) == 64


def test_what_does_not_fit_is_not_even_measured() -> None:
    """Memory comes before speed; the lowest rung is always tried."""
    measured: list[int] = []
    assert chosen_capacity(100, lambda rung: measured.append(rung) or 1.0) == 64  # type: ignore[func-returns-value]
    assert measured == [16, 32, 64]
    assert chosen_capacity(3, lambda _: 1.0) == 16


def test_a_row_takes_the_same_on_every_board(models: Path) -> None:
    """So what fits can be told from one row: boards grow in proportion, but for what does not depend on rows."""
    one, nine = (Pipeline.load(models / "toy", capacity=rows) for rows in (1, 9))
    assert row_bytes(one) == row_bytes(nine) > 0


def test_a_guided_network_needs_two_lanes_of_memory(models: Path) -> None:
    """A row that a model may guide has two of everything that depends on controls."""
    guided = Pipeline.load(models / "toy", capacity=2)
    plain = Pipeline(guided.networks, replace(guided.card, guided=()), capacity=2)
    assert guided.card.guided
    assert row_bytes(guided) > row_bytes(plain)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_measured_to_the_same_capacity_twice(models: Path) -> None:
    """Pixels depend on it."""
    first = fitting_capacity(models / "toy", "cuda")
    assert first in LADDER
    assert fitting_capacity(models / "toy", "cuda") == first
