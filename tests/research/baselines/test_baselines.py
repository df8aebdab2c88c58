"""The baselines see their past and nothing else, sum to one, and draw from caches what the naive way draws."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.config import Geometry
from models.network import build
from models.sampling.noise import gumbel_max
from research.baselines.baseline import Baseline
from research.baselines.baseline_presets import BaselineKind, small, whole
from research.baselines.sampler import BaselineSampler
from tests.harness.flat import Flat
from tests.harness.toy import CONTROLS
from training.data.vocabulary import CONTROLS as SYMBOLS
from training.evaluate import shares
from training.loop.minibatches import ExampleSource
from training.loop.recipe import Recipe
from training.loop.trainer import Trainer
from training.presets import PRESETS

SIDE = 4
GEOMETRY = Geometry(size=SIDE, slice_size=SIDE, coarse_bits=1, fine_bits=1)
PLACES = list(itertools.product(range(SIDE), range(SIDE), range(3)))
BLIND = {BaselineKind.PIXELCNN}
SIDES = [(kind, kernels) for kind in BaselineKind for kernels in (False, True)]


def a_baseline(kind: BaselineKind, *, kernels: bool = False, geometry: Geometry = GEOMETRY) -> Baseline:
    """Every weight at random, so that nothing passes vacuously; double precision."""
    baseline = small(kind, geometry, CONTROLS, bits=geometry.bits, kernels=kernels).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in baseline.parameters():
        scale = 1.0 if parameter.ndim == 1 else 1.5 * parameter.shape[-1] ** -0.5
        parameter.data.normal_(0, scale, generator=generator)
    return baseline.eval().requires_grad_(requires_grad=False)


def a_picture() -> Tensor:
    return torch.randint(0, 4, (1, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(3))


ASKED = torch.tensor([[1, 2, 0]])


@pytest.mark.parametrize(("kind", "kernels"), SIDES)
def test_a_sub_pixel_sees_its_past_and_nothing_else(kind: BaselineKind, kernels: bool) -> None:
    """Changing a sub-pixel moves no logits at or before it; of its past all matters to the last pixel, but a blind spot."""
    baseline, image = a_baseline(kind, kernels=kernels), a_picture()
    changed = image.repeat(len(PLACES), 1, 1, 1)
    for row, (y, x, c) in zip(changed, PLACES, strict=True):
        row[y, x, c] ^= 1
    asked = ASKED.expand(len(PLACES), -1)
    moved = (baseline.logits(changed, asked) != baseline.logits(image.expand_as(changed), asked)).any(-1)
    order = {place: i for i, place in enumerate(PLACES)}
    for place, seen in zip(PLACES, moved, strict=True):
        assert not any(seen[other] for other in PLACES if order[other] <= order[place]), place
    matter = [bool(seen[-1, -1, -1]) for seen in moved[:-1]]
    assert all(matter) if kind not in BLIND else sum(matter) > len(matter) // 2


def test_who_has_a_blind_spot() -> None:
    """A pixel far to the right in the row above: hidden from PixelCNN and from Row LSTM's triangle, seen by the others."""
    geometry = Geometry(size=12, slice_size=12, channels=1, coarse_bits=1, fine_bits=1)
    image = torch.zeros(1, 12, 12, 1, dtype=torch.long)
    other = image.clone()
    other[0, 9, 11] = 3
    seen = {}
    for kind in BaselineKind:
        baseline = a_baseline(kind, geometry=geometry)
        before, after = (baseline.logits(each, ASKED)[0, 10, 4] for each in (image, other))
        seen[kind] = bool((before != after).any())
    assert seen == {kind: kind in {BaselineKind.GATED, BaselineKind.SNAIL} for kind in BaselineKind}


@pytest.mark.parametrize("kind", BaselineKind)
def test_controls_matter(kind: BaselineKind) -> None:
    """Another value of any control gives other logits, and none gives others again."""
    baseline, image = a_baseline(kind), a_picture()
    drawn = [baseline.logits(image, torch.tensor([c])) for c in ([0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1])]
    assert all((drawn[0] != other).any() for other in drawn[1:])


@pytest.mark.parametrize(("kind", "kernels"), SIDES)
def test_probabilities_sum_to_one(kind: BaselineKind, kernels: bool) -> None:
    """One channel, 2 x 2, two bits: the joint of all 256 images."""
    geometry = Geometry(size=2, slice_size=2, channels=1, coarse_bits=1, fine_bits=1)
    baseline = a_baseline(kind, kernels=kernels, geometry=geometry)
    values = torch.tensor(list(itertools.product(range(4), repeat=4))).view(-1, 2, 2, 1)
    asked = ASKED.expand(len(values), -1)
    nats = baseline(values >> 1, values & 1, torch.zeros(len(values)), asked).sum((1, 2))
    assert math.isclose(float((-nats).exp().sum()), 1.0, rel_tol=1e-9)
    assert float(nats.std()) > 0.01


@pytest.mark.parametrize(("kind", "kernels"), SIDES)
def test_caches_draw_what_the_naive_way_draws(kind: BaselineKind, kernels: bool) -> None:
    """Every drawn image is the fixed point of whole forward passes under its noise, also after caches were used before."""
    baseline = a_baseline(kind, kernels=kernels)
    sampler = BaselineSampler(baseline, 2)
    asked = [[1, 2, 0], [0, 0, 1]]
    for seeds in ([3, 4], [5, 6]):
        drawn = torch.from_numpy(sampler.draw(asked, seeds)).long()
        logits = baseline.logits(drawn, torch.tensor(asked)).flatten(1, 2)
        noise = torch.stack([sampler.noise(seed) for seed in seeds])
        again = gumbel_max(logits, noise, torch.ones(1, 1, 1, dtype=torch.float64))
        assert (again == drawn.flatten(1, 2)).all()
        assert drawn.float().std() > 0.5


def test_a_short_batch_draws_the_same_images() -> None:
    """A image is the same with fewer beside it."""
    sampler = BaselineSampler(a_baseline(BaselineKind.GATED), 2)
    both = sampler.draw([[1, 2, 0], [0, 0, 1]], [3, 4])
    assert (sampler.draw([[1, 2, 0]], [3]) == both[:1]).all()


def test_compiled_steps_draw_the_same_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a dozen samplers each is traced once, whole, and draws what eager steps draw; the code that is made is not tried."""
    monkeypatch.setattr("research.baselines.sampler.BACKEND", "eager")
    asked = [[1, 2, 0], [0, 0, 1]]
    for kind in [*BaselineKind] * 3:
        baseline = a_baseline(kind)
        eager, compiled = BaselineSampler(baseline, 2), BaselineSampler(baseline, 2, compiled=True)
        assert (compiled.draw(asked, [3, 4]) == eager.draw(asked, [3, 4])).all()
        with torch.compiler.set_stance("fail_on_recompile"):
            assert (compiled.draw(asked, [5, 6]) == eager.draw(asked, [5, 6])).all()


@pytest.mark.parametrize("kind", BaselineKind)
def test_the_trainer_trains_baselines(kind: BaselineKind) -> None:
    """Thirty updates on flat images lower the held-out bits/dim by a third, and every parameter learns."""
    geometry = Geometry(size=8, slice_size=8)
    torch.manual_seed(0)
    recipe = Recipe(batch=2, warmup_steps=5)
    baseline = small(kind, geometry, CONTROLS, bits=8, kernels=True)
    trainer = Trainer(baseline, recipe)
    source = ExampleSource(data=Flat(), stage=Baseline.stage, geometry=geometry, recipe=recipe)
    losses = [trainer.update([source.minibatch(step, 0)], 1.0) for step in range(30)]
    assert losses[-1] < 2 / 3 * losses[0]
    assert [name for name, p in baseline.named_parameters() if p.grad is None] == []
    networks = torch.nn.ModuleDict({Baseline.stage: baseline.eval()})
    held_out = shares(networks, geometry, Flat().held_out(), stages=[Baseline.stage])[Baseline.stage]
    assert held_out.mean() < 2 / 3 * losses[0]


def test_sizes_are_the_subscale_networks() -> None:
    """Total parameters within a tenth of the networks without control maps, with and without kernels."""
    geometry, config = Geometry(size=32, slice_size=32), PRESETS["symbols-32"](SYMBOLS)
    unmapped = {stage: replace(widths, maps=()) for stage, widths in config.widths.items()}
    wanted = sum(p.numel() for p in build(replace(config, widths=unmapped)).parameters())
    for kind, kernels in SIDES:
        baseline = whole(kind, geometry, SYMBOLS, kernels=kernels)
        assert abs(sum(p.numel() for p in baseline.parameters()) / wanted - 1) < 0.1, kind
