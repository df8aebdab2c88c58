"""How a capacity is chosen: the rule with made-up speeds, the memory of real boards, and on a GPU the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from models.config import Stage
from models.pipeline import ImageState, Pipeline, next_step
from worker.device import capacity
from worker.device.capacity import LARGEST, SMALLEST, chosen_capacity, fitting_capacity, row_bytes

PLENTY = 1e9


def test_on_a_cpu_it_is_sixteen(models: Path) -> None:
    """Nothing is measured, so nothing can come out otherwise."""
    assert fitting_capacity(models / "toy", "cpu", None) == 16


def test_a_device_that_is_never_busy_gets_the_largest_that_fits() -> None:
    """Rounds that cost the same however many rows they have: there is no other end than memory."""
    assert chosen_capacity(PLENTY, lambda _: 0.001) == LARGEST
    assert chosen_capacity(1500, lambda _: 0.001) == 1024


def test_a_busy_device_gets_the_smallest() -> None:
    """Time goes with rows, as on a CPU."""
    assert chosen_capacity(PLENTY, float) == SMALLEST


@pytest.mark.parametrize(("fixed", "expected"), [(31, 32), (63, 64), (200, 256), (1500, 2048)])
def test_the_choice_is_where_a_round_begins_to_last_longer(fixed: float, expected: int) -> None:
    """A fixed cost, and one for each row: worth it while the fixed one is at least as large as what is added."""
    assert chosen_capacity(PLENTY, lambda rows: fixed + rows) == expected


@pytest.mark.parametrize("noise", [0.9, 1.1])
def test_a_noisy_clock_gives_the_same_capacity(noise: float) -> None:
    """A round measured a tenth too long or too short, at any capacity, changes nothing on a device with a clear knee."""

    def measured(rows: int, odd: int) -> float:
        return max(64, rows) * (noise if rows == odd else 1)

    for odd in (16, 32, 64, 128, 256):
        assert chosen_capacity(PLENTY, partial(measured, odd=odd)) == 64


def test_what_does_not_fit_is_not_even_measured() -> None:
    """Memory comes before speed; the smallest is always tried."""
    measured: list[int] = []
    assert chosen_capacity(100, lambda rows: measured.append(rows) or 1.0) == 64  # type: ignore[func-returns-value]
    assert measured == [16, 32, 64]
    assert chosen_capacity(3, lambda _: 1.0) == 16


def test_what_is_measured_is_what_serves(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full rounds of the depth network through the pipeline, with the backend of the worker; a full memory ends it."""
    rounds: list[tuple[Stage, int]] = []
    loaded: list[dict[str, Any]] = []
    load, advance = Pipeline.load, Pipeline.advance

    def on_the_cpu(folder: Path, **options: Any) -> Pipeline:  # noqa: ANN401 - as Pipeline.load
        loaded.append(options)
        return load(folder, capacity=options["capacity"])

    def counted(pipeline: Pipeline, states: Sequence[ImageState]) -> list[ImageState]:
        if len(states) > 64:
            raise torch.OutOfMemoryError("as a test")
        rounds.append((next_step(states[0]).stage, len(states)))
        return advance(pipeline, states)

    monkeypatch.setattr(Pipeline, "load", on_the_cpu)
    monkeypatch.setattr(Pipeline, "advance", counted)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1 << 40, 1 << 40))
    monkeypatch.setattr(capacity, "timed", lambda action: action() and 0.001)
    assert fitting_capacity(models / "toy", "cuda:1", tmp_path) == 64
    assert [rows for stage, rows in rounds if stage is Stage.DEPTH and rows > 1][:: 1 + capacity.ROUNDS] == [16, 32, 64]
    assert {options["device"] for options in loaded} == {"cuda:1"}
    assert [options.get("artefacts") for options in loaded] == [None, tmp_path, tmp_path, tmp_path, tmp_path]


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
def test_a_gpu_is_measured_to_the_same_capacity_twice(models: Path, tmp_path: Path) -> None:
    """Pixels depend on it."""
    first = fitting_capacity(models / "toy", "cuda", tmp_path)
    assert SMALLEST <= first <= LARGEST
    assert fitting_capacity(models / "toy", "cuda", tmp_path) == first
