"""Minibatches of training examples, prepared ahead by worker processes, and how long the trainer waits for them.

Every example of every step has its own generator, from (seed, step, place in the whole batch of the step). So the examples of
a run do not depend on how they are shared. One process with 16, two with 8, or four minibatches of 4 see the same ones.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Final, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from models.config import ANY, LABEL, Geometry, Stage
from training.data.dataset import Dataset
from training.loop.drift import drift
from training.loop.ranks import ALONE, Ranks
from training.loop.recipe import Recipe
from training.loop.slices import shares
from training.presets import SUBJECT

OFTEN: Final = 2.5
"""How much more often a control other than the label is dropped: most requests name a label and little else."""


_SHIFT: Final = 2**32 - 1
"""Stands in the place of an example: the generator that shifts the slices of a step."""


class Minibatch(NamedTuple):
    """Images (B, H, W, C) uint8, controls (B, n) int64, target slices k (B,) int64, shifts of their pixels (B, N, C) int64."""

    images: Tensor
    controls: Tensor
    k: Tensor
    drift: Tensor


@dataclass(frozen=True, kw_only=True)
class ExampleSource:
    """The examples that a process trains on, by step."""

    data: Dataset
    stage: Stage
    geometry: Geometry
    recipe: Recipe
    ranks: Ranks = ALONE

    def minibatch(self, step: int, which: int) -> Minibatch:
        """Return minibatch number `which` of this process at `step`."""
        first = (self.ranks.rank * self.recipe.accumulate + which) * self.recipe.batch
        return concatenated([self.example(step, place) for place in range(first, first + self.recipe.batch)])

    def example(self, step: int, place: int) -> Minibatch:
        """Return a minibatch of one example."""
        rng = np.random.default_rng([self.recipe.seed, step, place])
        batch = self.data.draw(rng, 1)
        k = torch.tensor([self.target(step, place)])
        names = [control.name for control in self.data.controls]
        controls = drop_controls(rng, batch.controls, names, self.recipe.drop_control)
        return Minibatch(
            torch.from_numpy(batch.images),
            torch.from_numpy(controls),
            k,
            torch.from_numpy(self._drift(rng, int(k)))[None],
        )

    def _drift(self, rng: np.random.Generator, k: int) -> NDArray[np.int64]:
        """Return the shifts of an example, (N, C): none in the first slice of an image, which has no other to return to."""
        if k != self.geometry.sampling_order[0] and rng.random() < self.recipe.drift:
            return drift(rng, self.geometry, self.stage)
        return np.zeros((self.geometry.positions, self.geometry.channels), np.int64)

    def target(self, step: int, place: int) -> int:
        """Return the target slice of an example: the slices of a step are a systematic sample of their `shares`.

        So the frequency of each slice differs from its share by at most one example. The loss of a step has less variance
        than with random slices: a fifth less for size, a tenth less for depth (docs/training.md).
        """
        ends = np.cumsum(shares(self.geometry, self.stage, self.recipe.early))
        examples = self.recipe.batch * self.recipe.accumulate * self.ranks.count
        shift = np.random.default_rng([self.recipe.seed, step, _SHIFT]).random()
        at = (place + shift) / examples * ends[-1]
        return int(np.searchsorted(ends, at, side="right"))


class Prefetcher:
    """An endless iterator over the minibatches of each step from `start` on. `waited_seconds` is the waiting time in all.

    `workers` processes prepare two steps each ahead; without workers the caller prepares them. They are processes because
    examples are made by small pieces of Python, of which threads run one at a time.
    """

    def __init__(self, source: ExampleSource, start: int, *, workers: int = 1) -> None:
        self.waited_seconds = 0.0
        # Forked processes share the memory of the data set. They use torch for the tensors of their examples only.
        context = "fork" if workers else None
        loader = DataLoader(
            MinibatchDataset(source),
            batch_size=None,
            sampler=cast("Iterable[int]", count(start)),
            num_workers=workers,
            multiprocessing_context=context,
            worker_init_fn=ignore_signals,
        )
        self._minibatches: Iterator[list[Minibatch]] = iter(loader)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._minibatches  # ends the processes

    def __iter__(self) -> Iterator[list[Minibatch]]:
        while True:
            begun = time.monotonic()
            minibatches = next(self._minibatches)
            self.waited_seconds += time.monotonic() - begun
            yield minibatches


class MinibatchDataset(TorchDataset[list[Minibatch]]):
    """An example source as a map-style data set of torch: the index is the step."""

    def __init__(self, source: ExampleSource) -> None:
        self.source = source

    def __getitem__(self, step: int) -> list[Minibatch]:
        return [self.source.minibatch(step, which) for which in range(self.source.recipe.accumulate)]


def ignore_signals(_worker: int) -> None:
    """Ignore SIGINT and SIGTERM in a worker process: both reach whole groups, and the trainer ends its own workers."""
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def concatenated(minibatches: list[Minibatch]) -> Minibatch:
    """Return several minibatches as one."""
    return Minibatch(*(torch.cat(parts) for parts in zip(*minibatches, strict=True)))


def drop_controls(
    rng: np.random.Generator, controls: NDArray[np.int64], names: Sequence[str], chance: float
) -> NDArray[np.int64]:
    """Return controls (B, n) with some set to "any", as requests leave them out.

    By `chance` all are dropped. By `chance` those of `SUBJECT` are dropped, which trains the unconditional side of guidance.
    Each is also dropped alone: the label by half the chance, others by `OFTEN` times the chance.
    """
    subject = np.array([name in SUBJECT for name in names], bool)
    each = chance * np.array([0.5 if name == LABEL else OFTEN for name in names])
    roll = rng.random((len(controls), 1))
    dropped = (roll < chance) | ((roll < 2 * chance) & subject) | (rng.random(controls.shape) < each)
    return np.where(dropped, ANY, controls)
