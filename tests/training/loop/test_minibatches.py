"""Examples do not depend on the number of processes; they come in order and ahead of time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pytest
import torch

from models.config import ANY, Stage
from tests.harness.flat import GEOMETRY, Flat
from training.data.symbols import ImageBatch
from training.loop.minibatches import ExampleSource, Prefetcher, concatenated, drop_controls
from training.loop.ranks import Ranks
from training.loop.recipe import Recipe
from training.loop.slices import importance, shares


@dataclass(frozen=True)
class SlowDataset(Flat):
    """A data set that is slow."""

    seconds: float = 0.0

    def draw(self, rng: np.random.Generator, count: int) -> ImageBatch:
        """Return flat images after `seconds`."""
        time.sleep(self.seconds)
        return super().draw(rng, count)


def source(seconds: float = 0.0, **recipe: int) -> ExampleSource:
    return ExampleSource(data=SlowDataset(seconds), stage=Stage.DEPTH, geometry=GEOMETRY, recipe=Recipe(**recipe))


def test_two_processes_with_two_minibatches_share_one_batch() -> None:
    """A batch of 8 is what two processes get in two minibatches of 2 each, in order. The next step has other examples."""
    whole = source(batch=8).minibatch(3, 0)
    small = source(batch=2, accumulate=2)
    sources = [replace(small, ranks=Ranks(rank=rank, count=2)) for rank in range(2)]
    shared = concatenated([each.minibatch(3, which) for each in sources for which in range(2)])
    assert all(torch.equal(a, b) for a, b in zip(whole, shared, strict=True))
    assert not torch.equal(whole.images, source(batch=8).minibatch(4, 0).images)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # on a machine with one core
def test_a_prefetcher_continues_from_any_step() -> None:
    """With two workers as with one, the first minibatch from step 2 is the third from step 0."""
    with Prefetcher(source(batch=4), 0) as first, Prefetcher(source(batch=4), 2, workers=2) as later:
        expected = list(islice(first, 5))[2:]
        for one, other in zip(expected, islice(later, 3), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True))


def test_a_prefetcher_works_ahead() -> None:
    """The trainer waits for no examples if its steps take longer than they do; otherwise the waiting is counted."""
    with Prefetcher(source(0.002, batch=4), 0) as prefetcher:
        next(iter(prefetcher))  # the process has started
        begun = prefetcher.waited_seconds
        for _ in islice(prefetcher, 5):
            time.sleep(0.2)
        assert prefetcher.waited_seconds - begun < 0.2
    with Prefetcher(source(0.02, batch=4), 0) as prefetcher:
        for _ in islice(prefetcher, 5):
            pass
        assert prefetcher.waited_seconds > 0.2


def test_every_slice_of_a_stage_is_drawn() -> None:
    """All of depth's, all but the first of size's, only the first of base's."""
    for stage, ks in ((Stage.BASE, {0}), (Stage.SIZE, {1, 2, 3}), (Stage.DEPTH, {0, 1, 2, 3})):
        minibatch = replace(source(batch=64), stage=stage).minibatch(0, 0)
        assert set(minibatch.k.tolist()) == ks


def test_a_step_has_every_slice_equally_often() -> None:
    """Three slices of size in a batch of 16: five times each and one once more, which one changing from step to step."""
    size = replace(source(batch=16), stage=Stage.SIZE)
    counts = [np.bincount(size.minibatch(step, 0).k, minlength=4).tolist() for step in range(60)]
    assert all(sorted(each) == [0, 5, 5, 6] for each in counts)
    assert {each.index(6) for each in counts} == {1, 2, 3}


def test_early_slices_are_more_frequent() -> None:
    """With exponent 1 the four slices of depth get shares of 12, 6, 4 and 3 in 25, in every step but for one."""
    depth = replace(source(batch=50), recipe=Recipe(batch=50, early=1.0))
    counts = np.array([np.bincount(depth.minibatch(step, 0).k, minlength=4) for step in range(40)])
    assert (np.abs(counts - [24, 12, 8, 6]) <= 1).all()
    assert counts.mean(0) == pytest.approx([24, 12, 8, 6], abs=0.3)


def test_importance_undoes_the_shares() -> None:
    """The mean of importance times any number of a slice is the plain mean over the stage's slices; no target, no weight."""
    for stage in Stage:
        frequency, weight = shares(GEOMETRY, stage, 1.0), importance(GEOMETRY, stage, 1.0)
        targets = [step.slice for step in GEOMETRY.steps if step.stage is stage]
        numbers = np.arange(1.0, 1 + GEOMETRY.slices) ** 2
        assert (frequency * weight * numbers).sum() == pytest.approx(numbers[targets].mean())
        assert (frequency > 0).nonzero()[0].tolist() == sorted(targets)
        assert ((weight > 0) == (frequency > 0)).all()


def test_controls_are_dropped_as_requests_leave_them_out() -> None:
    """All together, label and style together with the rest kept, and each alone; nothing else changes."""
    names = ("label", "style", "hue", "tile")
    controls = np.full((20000, 4), 3)
    dropped = drop_controls(np.random.default_rng(0), controls, names, 0.1)
    gone = dropped == ANY
    assert ((dropped == controls) | gone).all()
    patterns = {tuple(row) for row in gone.tolist()}
    assert (False, True, True, True) in patterns, "a label alone is what is requested most"
    assert gone.all(1).mean() == pytest.approx(0.1 + 0.1 * 0.25**2, abs=0.02)
    unconditional = gone[:, 0] & gone[:, 1] & ~gone[:, 2] & ~gone[:, 3]
    assert unconditional.mean() == pytest.approx(0.1 * 0.75**2, abs=0.02)
    assert gone[:, 0].mean() < gone[:, 1].mean()


def test_an_unconditional_model_drops_nothing() -> None:
    """A data set without controls has none to drop."""
    assert drop_controls(np.random.default_rng(0), np.zeros((4, 0), np.int64), (), 0.1).shape == (4, 0)
