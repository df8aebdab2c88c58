"""Lots of training examples, drawn and decoded ahead in threads, and how long the trainer had to wait for them.

Every example of every step has a generator of its own, from (seed, step, place in the step's whole batch). So a run's
examples do not depend on how they are dealt: one process with 16, two with 8 each, or four lots of 4 see the same ones.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from models.config import ANY, Geometry, Stage
from training.data.dataset import Dataset
from training.data.symbols import Batch
from training.ranks import ALONE, Ranks
from training.recipe import Recipe


class Lot(NamedTuple):
    """Images (B, H, W, C) uint8, controls (B, n) int64, target slices k (B,) int64."""

    images: Tensor
    controls: Tensor
    k: Tensor


@dataclass(frozen=True, kw_only=True)
class Dealer:
    """Which examples a process gets at a step."""

    data: Dataset
    stage: Stage
    geometry: Geometry
    recipe: Recipe
    ranks: Ranks = ALONE

    def lot(self, step: int, which: int) -> Lot:
        """Lot number `which` of this process at `step`."""
        lots, batch = self.recipe.accumulate, self.recipe.batch
        first = (self.ranks.rank * lots + which) * batch
        return joined([self.example(step, place) for place in range(first, first + batch)])

    def example(self, step: int, place: int) -> Lot:
        """A lot of one."""
        rng = np.random.default_rng([self.recipe.seed, step, place])
        batch = self.data.draw(rng, 1)
        k = draw_slices(rng, self.stage, self.geometry, 1)
        return Lot(torch.from_numpy(batch.images), drop_controls(rng, batch, self.recipe.drop_control), k)


class Feed:
    """Endless lists of a step's lots from step `start` on, at least one step ahead; `waited_seconds` for them in all."""

    def __init__(self, dealer: Dealer, start: int, *, workers: int = 1) -> None:
        self.dealer, self.step = dealer, start
        self.waited_seconds = 0.0
        self._pool = ThreadPoolExecutor(workers, "examples")
        self._ahead: deque[list[Future[Lot]]] = deque()
        for _ in range(1 + workers):
            self._order()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[list[Lot]]:
        while True:
            begun = time.monotonic()
            lots = [future.result() for future in self._ahead.popleft()]
            self.waited_seconds += time.monotonic() - begun
            self._order()
            yield lots

    def _order(self) -> None:
        lots = range(self.dealer.recipe.accumulate)
        self._ahead.append([self._pool.submit(self.dealer.lot, self.step, which) for which in lots])
        self.step += 1


def joined(lots: list[Lot]) -> Lot:
    """Several lots as one."""
    return Lot(*(torch.cat(parts) for parts in zip(*lots, strict=True)))


def draw_slices(rng: np.random.Generator, stage: Stage, geometry: Geometry, count: int) -> Tensor:
    """Uniform target slices of a stage, (count,) int64."""
    ks = [step.slice for step in geometry.steps if step.stage is stage]
    return torch.from_numpy(rng.choice(ks, count))


def drop_controls(rng: np.random.Generator, batch: Batch, chance: float) -> Tensor:
    """Controls (B, n) with each one set to "any" by chance, and all of them together by the same chance."""
    keep = (rng.random(batch.controls.shape) >= chance) & (rng.random((len(batch.controls), 1)) >= chance)
    return torch.from_numpy(np.where(keep, batch.controls, ANY))
