"""One distribution, three samplers; noise; independence of company and of interruption."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.exactness import ReferencePipeline
from models.config import Geometry, Order, Stage, Step
from models.errors import ConfigError
from models.pipeline import ImageState, Pipeline, next_step
from models.sampling import reference
from models.sampling.deal import SamplerName
from models.sampling.noise import gumbel, gumbel_max, philox
from models.subscale import Progress
from tests.harness.image_states import GEOMETRY, finish, images, last_steps, next_slices, states
from tests.harness.toy import ToyVerifier, toy_card, toy_networks


def pipeline(networks: nn.ModuleDict, sampler: SamplerName, geometry: Geometry = GEOMETRY) -> Pipeline:
    return Pipeline(networks, toy_card(geometry), capacity=8, sampler=sampler, verifier=ToyVerifier())


INTERLACED = Geometry(size=8, slice_size=2, order=Order.INTERLACED)


@pytest.mark.parametrize(("seed", "geometry"), [(0, GEOMETRY), (1, GEOMETRY), (2, GEOMETRY), (3, INTERLACED)])
def test_all_samplers_draw_the_same_images(seed: int, geometry: Geometry) -> None:
    """Reference == cached == parallel in float64, rows of all controls, temperatures and guidances mixed."""
    networks, rows = toy_networks(geometry, seed).double(), states(8, geometry)
    samplers = (SamplerName.CACHED, SamplerName.PARALLEL)
    drawn = [images(finish(pipeline(networks, sampler, geometry), rows)) for sampler in samplers]
    oracle = ReferencePipeline(networks, toy_card(geometry), verifier=ToyVerifier())
    assert drawn[0] == drawn[1] == images(finish(oracle, rows))
    assert len(set(drawn[0])) == 8


def test_a_real_sized_sample_is_a_fixed_point() -> None:
    """Drawn in float64 at 16 x 16 slices, every sub-pixel is what the teacher-forced model draws under the same noise.

    With guidance it is both conditionings; of several candidates it is the noise of exactly one.
    """
    geometry = Geometry(size=32, slice_size=16)
    networks = toy_networks(geometry).double()
    drawer = pipeline(networks, SamplerName.PARALLEL, geometry)
    rows = states(2, geometry)
    with torch.inference_mode():
        while rows[0].progress.next:
            network, candidates = drawer.network(next_step(rows[0]).stage), [drawer.candidates(row) for row in rows]
            rows = drawer.advance(rows)
            for row, given in zip(rows, candidates, strict=True):
                symbols = torch.tensor(row.progress.slices[-1]).long().flatten(0, 1)
                again = reference.redraw(network, given, symbols.expand(len(given), -1, -1))
                assert (again == symbols).all(-1).all(-1).sum() == 1


@pytest.mark.parametrize(
    ("sampler", "geometry", "count"),
    [
        (SamplerName.CACHED, GEOMETRY, 8),
        (SamplerName.PARALLEL, GEOMETRY, 8),
        (SamplerName.PARALLEL, Geometry(size=16, slice_size=16), 3),
    ],
)
def test_a_row_does_not_depend_on_its_company(sampler: SamplerName, geometry: Geometry, count: int) -> None:
    """In the serving dtype a row of a batch is bitwise the row alone; its window may differ, its pixels not."""
    drawer, rows, steps = (
        pipeline(toy_networks(geometry), sampler, geometry),
        states(count, geometry),
        last_steps(geometry),
    )
    together = [next_slices(drawer, rows, [done]) for done in steps]
    alone = [[next_slices(drawer, [row], [done])[0] for row in rows] for done in steps]
    assert together == alone


def test_rows_at_different_slices_share_a_pass() -> None:
    """Pictures at one network but different slices advance together and stay what they would be alone."""
    drawer = pipeline(toy_networks(GEOMETRY), SamplerName.PARALLEL)
    first, second = states(2)
    first = drawer.advance(drawer.advance([first]))[0]
    second = drawer.advance([second])[0]
    mixed = drawer.advance([first, second])
    assert images(mixed) == images([*drawer.advance([first]), *drawer.advance([second])])


def test_an_interrupted_picture_is_the_same_picture() -> None:
    """Taken up from its slices by another pipeline, a picture ends with the same pixels."""
    networks = toy_networks(GEOMETRY)
    whole = finish(pipeline(networks, SamplerName.PARALLEL), states(1))[0]
    for done in range(len(GEOMETRY.steps)):
        progress = Progress(geometry=GEOMETRY, slices=whole.progress.slices[:done])
        resumed = finish(pipeline(networks, SamplerName.PARALLEL), [replace(states(1)[0], progress=progress)])
        assert images(resumed) == images([whole])


def test_each_network_has_its_own_temperature() -> None:
    """Another temperature of one network leaves all slices before it as they were, and changes its own."""
    drawer, (state,) = pipeline(toy_networks(GEOMETRY), SamplerName.PARALLEL), states(1)
    whole = finish(drawer, [state])[0].progress.slices
    begins = {stage: [step.stage for step in GEOMETRY.steps].index(stage) for stage in Stage}
    for stage, first in begins.items():
        temperature = replace(state.sampling.temperature, **{stage: 0.05})
        other = replace(state, sampling=replace(state.sampling, temperature=temperature))
        slices = finish(drawer, [other])[0].progress.slices
        same = [np.array_equal(a, b) for a, b in zip(slices, whole, strict=True)]
        assert same[: first + 1] == [True] * first + [False]


def test_pictures_at_different_networks_are_refused_together() -> None:
    """A call advances one network's slices; anything else is a clear error."""
    drawer = pipeline(toy_networks(GEOMETRY), SamplerName.PARALLEL)
    fresh = states(2)
    with pytest.raises(ConfigError, match="one stage"):
        drawer.advance([drawer.advance(fresh[:1])[0], fresh[1]])
    with pytest.raises(ConfigError, match="1 to 8"):
        drawer.advance(states(9))


def test_frequencies_match_probabilities() -> None:
    """Over 2,000 seeds of an enumerable toy, base and size slices come up as often as the model says."""
    geometry = Geometry(size=2, slice_size=1, channels=1, coarse_bits=1, fine_bits=1)
    networks = toy_networks(geometry, seed=5)
    drawer = Pipeline(networks, toy_card(geometry), capacity=500, sampler=SamplerName.CACHED)
    seen: Counter[bytes] = Counter()
    for start in range(0, 2000, 500):
        rows = [
            ImageState(seed=start + s, controls=(0, 0, 0), progress=Progress(geometry=geometry)) for s in range(500)
        ]
        seen.update(images(finish(drawer, rows)))
    every = np.stack(np.meshgrid(*[np.arange(4)] * 4, indexing="ij"), -1).reshape(-1, 2, 2, 1).astype(np.uint8)
    expected = np.exp(-nats(networks, every, geometry)) * 2000
    found = np.array([seen[Progress.of(image, geometry).picture().tobytes()] for image in every])
    chi_square = float(((found - expected) ** 2 / expected).sum())
    assert found.sum() == 2000
    assert chi_square < 330  # 255 degrees of freedom: p = 0.001


def nats(networks: nn.ModuleDict, images: np.ndarray, geometry: Geometry) -> np.ndarray:
    pixels = torch.from_numpy(images).long()
    controls = torch.zeros(len(pixels), 3, dtype=torch.long)
    total = np.zeros(len(pixels))
    for step in geometry.steps:
        k = torch.full((len(pixels),), step.slice)
        total += networks[step.stage](pixels >> 1, pixels & 1, k, controls).double().sum((1, 2)).numpy()
    return total


def test_philox_matches_the_published_vectors() -> None:
    """Known answers of Random123 for zero and all-ones counter and key."""
    zero, ones = torch.tensor(0), torch.tensor(0xFFFFFFFF)
    assert [int(w) for w in philox((zero,) * 4, (0, 0))] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    full = philox((ones,) * 4, (0xFFFFFFFF, 0xFFFFFFFF))
    assert [int(w) for w in full] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def test_noise_is_an_address_not_a_sequence() -> None:
    """Seed, stage and slice each give other noise; more positions leave the earlier ones as they were."""
    short = gumbel(1, Step(Stage.SIZE, 1), (4, 3, 8))
    assert (gumbel(1, Step(Stage.SIZE, 1), (16, 3, 8))[:4] == short).all()
    others = ((2, Stage.SIZE, 1), (1 + 2**32, Stage.SIZE, 1), (1, Stage.DEPTH, 1), (1, Stage.SIZE, 2))
    for seed, stage, k in others:
        assert (gumbel(seed, Step(stage, k), (4, 3, 8)) != short).all()
    assert (gumbel(1, Step(Stage.SIZE, 1), (4, 3, 8), candidate=0) == short).all()
    assert (gumbel(1, Step(Stage.SIZE, 1), (4, 3, 8), candidate=1) != short).all()
    assert abs(float(gumbel(3, Step(Stage.BASE, 0), (4096, 3, 8)).mean()) - 0.5772) < 0.02


def test_ties_fall_to_the_lowest_value() -> None:
    """Equal scores are decided, not left to the kernel."""
    drawn = gumbel_max(torch.zeros(5, 7), torch.zeros(5, 7), torch.ones(5))
    assert (drawn == 0).all()
