"""Guidance: the distribution it says, nothing where it is off, and its price."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.config import ANY, Geometry, Sampling, Stage, Temperatures, control_indices
from models.decoder import Conditioning
from models.pipeline import ImageState, Pipeline
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.fastest import Fastest
from models.sampling.deal import SamplerName
from models.sampling.guidance import guided
from models.subscale import Progress
from tests.harness.image_states import conditioned
from tests.harness.toy import CONTROLS, toy_card, toy_networks
from tests.models.sampling.compiled import COMPILED

GEOMETRY = Geometry(size=8, slice_size=4)


def pipeline(
    folder: Path | None = None, *, guided: bool = True, sampler: SamplerName = SamplerName.PARALLEL
) -> Pipeline:
    card = toy_card(GEOMETRY)
    card = card if guided else replace(card, guided=())
    backend = Fastest(folder) if folder else EagerBackend
    return Pipeline(toy_networks(GEOMETRY), card, capacity=8, sampler=sampler, backend=backend)


def states(guidance: float, *, count: int = 8, **requested: str) -> list[ImageState]:
    controls = control_indices(CONTROLS, requested)
    blank = Progress(geometry=GEOMETRY)
    return [
        ImageState(seed=seed, controls=controls, sampling=Sampling(guidance=guidance), progress=blank)
        for seed in range(count)
    ]


def slices(rows: list[ImageState]) -> list[bytes]:
    return [row.progress.slices[-1].tobytes() for row in rows]


def test_guidance_moves_logits_from_the_unconditional_side_through_the_conditional_one() -> None:
    given, free = torch.tensor([[1.0, 2.0]]).expand(3, -1), torch.tensor([[0.5, 4.0]]).expand(3, -1)
    found = guided([given, free], torch.tensor([0.0, 1.0, 3.0]))
    assert found.tolist() == [[0.5, 4.0], [1.0, 2.0], [2.0, -2.0]]
    assert guided([given], torch.ones(3)) is given


@pytest.mark.parametrize("compiled", COMPILED)
def test_guidance_1_is_the_model_and_costs_nothing(artefacts: Path, *, compiled: bool) -> None:
    """Bit for bit what a model without guidance gives, from as many embeddings, in as many passes."""
    folder = artefacts if compiled else None
    with_it, without = pipeline(folder), pipeline(folder, guided=False)
    assert slices(with_it.advance(states(1, label="A"))) == slices(without.advance(states(1, label="A")))
    assert with_it.engines[Stage.BASE].passes == without.engines[Stage.BASE].passes
    assert with_it.candidates(states(1, label="A")[0])[0].unconditional is None
    assert slices(without.advance(states(2, label="A"))) == slices(without.advance(states(1, label="A")))


@pytest.mark.parametrize("compiled", COMPILED)
def test_guidance_changes_the_samples(artefacts: Path, *, compiled: bool) -> None:
    pipe = pipeline(artefacts if compiled else None)
    plain, more, most = (slices(pipe.advance(states(guidance, label="A"))) for guidance in (1, 3, 9))
    assert plain != more
    assert more != most


def test_only_the_cards_networks_are_guided() -> None:
    """And from the unconditional side only the named controls are missing: the hue stays."""
    pipe = pipeline()
    (state,) = states(2, count=1, label="A", hue="red", tile="square")
    kept = replace(state, controls=(ANY, state.controls[1], ANY))
    conditional, unconditional = conditioned(pipe, state)
    assert same([unconditional], conditioned(pipe, kept))
    assert not same([unconditional], [conditional])
    assert len(conditioned(pipe, pipe.advance([state])[0])) == 1


@pytest.mark.parametrize("compiled", COMPILED)
def test_where_nothing_is_guided_guidance_is_nothing(artefacts: Path, *, compiled: bool) -> None:
    """A request that names none of the unguided controls is the model's own, and so are two sides that are alike."""
    pipe = pipeline(artefacts if compiled else None)
    plain = slices(pipe.advance(states(1, hue="blue")))
    assert slices(pipe.advance(states(2.5, hue="blue"))) == plain
    given = [pipe.candidates(state)[0] for state in states(1, hue="blue")]
    alike = [each._replace(guidance=2.5, unconditional=each.controls) for each in given]
    assert [sampled.tobytes() for sampled in pipe.sample(Stage.BASE, alike)] == plain


@pytest.mark.parametrize("compiled", COMPILED)
def test_an_unguided_row_does_not_feel_a_guided_one(artefacts: Path, *, compiled: bool) -> None:
    """Nor the other way round; and nothing of a guided slice stays on its row."""
    pipe = pipeline(artefacts if compiled else None)
    plain, strong = states(1, label="A"), states(3, label="B")
    alone = {0: slices(pipe.advance(plain)), 1: slices(pipe.advance(strong))}
    mixed = [(plain, strong)[seed % 2][seed] for seed in range(8)]
    assert slices(pipe.advance(mixed)) == [alone[seed % 2][seed] for seed in range(8)]
    assert slices(pipe.advance(plain)) == alone[0]


@pytest.mark.parametrize("compiled", COMPILED)
def test_windows_save_passes_with_guidance_too(artefacts: Path, *, compiled: bool) -> None:
    """Of one image: fewer passes than pixels."""
    passes = {}
    for sampler in SamplerName:
        pipe = pipeline(artefacts if compiled else None, sampler=sampler)
        cold = replace(states(2, label="A")[0].sampling, temperature=Temperatures(base=0.2))
        pipe.advance([replace(states(2, count=1, label="A")[0], sampling=cold)])
        passes[sampler] = pipe.engines[Stage.BASE].passes
    assert passes[SamplerName.PARALLEL] < passes[SamplerName.CACHED] == GEOMETRY.positions


def test_frequencies_match_the_guided_distribution() -> None:
    """Over 500 seeds of an enumerable toy, base slices come up as often as guidance and temperature say.

    Without guidance the statistic would be about 56 more.
    """
    geometry = Geometry(size=2, slice_size=2, channels=1, coarse_bits=1, fine_bits=1)
    pipe = Pipeline(toy_networks(geometry, seed=4).double(), toy_card(geometry), capacity=500)
    sampling = Sampling(guidance=3.0, temperature=Temperatures(base=0.8))
    blank = Progress(geometry=geometry)
    rows = [ImageState(seed=s, controls=(1, 2, 1), sampling=sampling, progress=blank) for s in range(500)]
    seen = Counter(slices(pipe.advance(rows)))
    every = np.stack(np.meshgrid(*[np.arange(2)] * 4, indexing="ij"), -1).reshape(-1, 4, 1)
    logits = [
        pipe.network(Stage.BASE).logits(conditioning(pipe, replace(rows[0], controls=controls)), torch.tensor(every))
        for controls in ((1, 2, 1), (ANY, 2, ANY))
    ]
    given, free = (each.numpy() for each in logits)
    score = np.exp((free + 3 * (given - free)) / 0.8)
    chosen = np.take_along_axis(score, every[..., None], -1)[..., 0] / score.sum(-1)
    expected = chosen.prod((1, 2)) * 500
    found = np.array([seen[slice_.astype(np.uint8).tobytes()] for slice_ in every])
    assert found.sum() == 500
    assert expected.sum() == pytest.approx(500)
    assert ((found - expected) ** 2 / expected).sum() < 37.7  # 15 degrees of freedom: p = 0.001


def conditioning(pipe: Pipeline, state: ImageState) -> Conditioning:
    (one,) = conditioned(pipe, replace(state, sampling=Sampling()))
    return Conditioning(*(part.expand(16, *part.shape[1:]) for part in one))


def same(one: list[Conditioning], other: list[Conditioning]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True))
