"""Lots of training examples, prepared ahead by processes, and how long the trainer had to wait for them.

Every example of every step has a generator of its own, from (seed, step, place in the step's whole batch). So a run's
examples do not depend on how they are dealt: one process with 16, two with 8 each, or four lots of 4 see the same ones.
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
from torch.utils.data import Dataset as Data

from models.config import ANY, LABEL, Geometry, Stage
from training.data.dataset import Dataset
from training.loop.ranks import ALONE, Ranks
from training.loop.recipe import Recipe
from training.loop.slices import shares
from training.presets import SUBJECT

OFTEN: Final = 2.5
"""How much more often a control other than the label is dropped: most requests name a label and little else."""


_SHIFT: Final = 2**32 - 1
"""In the place of an example: the generator that shifts a step's slices."""


class Minibatch(NamedTuple):
    """Images (B, H, W, C) uint8, controls (B, n) int64, target slices k (B,) int64."""

    images: Tensor
    controls: Tensor
    k: Tensor


@dataclass(frozen=True, kw_only=True)
class ExampleSource:
    """Which examples a process gets at a step."""

    data: Dataset
    stage: Stage
    geometry: Geometry
    recipe: Recipe
    ranks: Ranks = ALONE

    def lot(self, step: int, which: int) -> Minibatch:
        """Return minibatch number `which` of this process at `step`."""
        lots, batch = self.recipe.accumulate, self.recipe.batch
        first = (self.ranks.rank * lots + which) * batch
        return concatenated([self.example(step, place) for place in range(first, first + batch)])

    def example(self, step: int, place: int) -> Minibatch:
        """A lot of one."""
        rng = np.random.default_rng([self.recipe.seed, step, place])
        batch = self.data.draw(rng, 1)
        k = torch.tensor([self.target(step, place)])
        names = [control.name for control in self.data.controls]
        controls = drop_controls(rng, batch.controls, names, self.recipe.drop_control)
        return Minibatch(torch.from_numpy(batch.images), torch.from_numpy(controls), k)

    def target(self, step: int, place: int) -> int:
        """Return the slice of an example: a step's slices are a systematic sample of their `shares`.

        So each slice is as frequent as its share, but for one. Slices differ in bits far more than images do: with slices by
        chance, the loss of a step would say less.
        """
        ends = np.cumsum(shares(self.geometry, self.stage, self.recipe.early))
        examples = self.recipe.batch * self.recipe.accumulate * self.ranks.count
        shift = np.random.default_rng([self.recipe.seed, step, _SHIFT]).random()
        at = (place + shift) / examples * ends[-1]
        return int(np.searchsorted(ends, at, side="right"))


class Prefetcher:
    """Endless lists of a step's lots from step `start` on; `waited_seconds` for them in all.

    `workers` processes prepare them ahead, two steps each; with none the caller does. They are processes because examples are
    made by small pieces of Python, which threads run one at a time.
    """

    def __init__(self, dealer: ExampleSource, start: int, *, workers: int = 1) -> None:
        self.waited_seconds = 0.0
        # Forked, they share the data set's memory. What they inherit of torch they use for the tensors of their examples alone.
        context = "fork" if workers else None
        loader = DataLoader(
            MinibatchDataset(dealer),
            batch_size=None,
            sampler=cast("Iterable[int]", count(start)),
            num_workers=workers,
            multiprocessing_context=context,
            worker_init_fn=ignore_signals,
        )
        self._lots: Iterator[list[Minibatch]] = iter(loader)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._lots  # ends the processes

    def __iter__(self) -> Iterator[list[Minibatch]]:
        while True:
            begun = time.monotonic()
            lots = next(self._lots)
            self.waited_seconds += time.monotonic() - begun
            yield lots


class MinibatchDataset(Data[list[Minibatch]]):
    """A dealer as torch's loader asks it: lots by step."""

    def __init__(self, dealer: ExampleSource) -> None:
        self.dealer = dealer

    def __getitem__(self, step: int) -> list[Minibatch]:
        return [self.dealer.lot(step, which) for which in range(self.dealer.recipe.accumulate)]


def ignore_signals(_worker: int) -> None:
    """Ctrl-C reaches every process of a terminal, and a kill those of a group; the trainer ends its own when it has saved."""
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def concatenated(lots: list[Minibatch]) -> Minibatch:
    """Several lots as one."""
    return Minibatch(*(torch.cat(parts) for parts in zip(*lots, strict=True)))


def drop_controls(
    rng: np.random.Generator, controls: NDArray[np.int64], names: Sequence[str], chance: float
) -> NDArray[np.int64]:
    """Set controls (B, n) to "any", as requests leave them out.

    By `chance` all are dropped, and by `chance` those of `SUBJECT`, so that the unconditional side of guidance is learnt. Each
    is also dropped alone: the label by half the chance, others by `OFTEN` times the chance.
    """
    subject = np.array([name in SUBJECT for name in names], bool)
    each = chance * np.array([0.5 if name == LABEL else OFTEN for name in names])
    roll = rng.random((len(controls), 1))
    dropped = (roll < chance) | ((roll < 2 * chance) & subject) | (rng.random(controls.shape) < each)
    return np.where(dropped, ANY, controls)
