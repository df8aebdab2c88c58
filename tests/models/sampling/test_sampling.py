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
from models.sampling.backends.backend import BackendFactory
from models.sampling.backends.eager import EagerBackend
from models.sampling.deal import SamplerName
from models.sampling.noise import gumbel, gumbel_max, philox
from models.subscale import Progress
from tests.harness.image_states import GEOMETRY, after, finish, images, last_steps, next_slices, states
from tests.harness.toy import ToyVerifier, toy_card, toy_networks


def pipeline(
    networks: nn.ModuleDict, backend: BackendFactory, sampler: SamplerName, geometry: Geometry = GEOMETRY
) -> Pipeline:
    card = toy_card(geometry)
    return Pipeline(networks, card, capacity=8, sampler=sampler, verifier=ToyVerifier(), backend=backend)


INTERLACED = Geometry(size=8, slice_size=2, order=Order.INTERLACED)


@pytest.mark.parametrize(("seed", "geometry"), [(0, GEOMETRY), (1, GEOMETRY), (2, GEOMETRY), (3, INTERLACED)])
def test_all_samplers_give_the_same_images(backend: BackendFactory, seed: int, geometry: Geometry) -> None:
    """Reference == cached == parallel in float64, rows of all controls, temperatures and guidances mixed."""
    networks, rows = toy_networks(geometry, seed).double(), states(8, geometry)
    samplers = (SamplerName.CACHED, SamplerName.PARALLEL)
    sampled = [images(finish(pipeline(networks, backend, sampler, geometry), rows)) for sampler in samplers]
    oracle = ReferencePipeline(networks, toy_card(geometry), verifier=ToyVerifier())
    assert sampled[0] == sampled[1] == images(finish(oracle, rows))
    assert len(set(sampled[0])) == 8


def test_a_real_sized_sample_is_a_fixed_point(backend: BackendFactory) -> None:
    """Sampled in float64 at 16 x 16 slices, every sub-pixel is what the teacher-forced model gives under the same noise.

    With guidance it is both conditionings; of several candidates it is the noise of exactly one.
    """
    geometry = Geometry(size=32, slice_size=16)
    networks = toy_networks(geometry).double()
    pipe = pipeline(networks, backend, SamplerName.PARALLEL, geometry)
    with torch.inference_mode():
        for done in last_steps(geometry):
            rows = after(states(2, geometry), done)
            network, candidates = pipe.network(next_step(rows[0]).stage), [pipe.candidates(row) for row in rows]
            for row, requests in zip(pipe.advance(rows), candidates, strict=True):
                inputs = reference.SliceInputs.of(network, requests)
                symbols = torch.tensor(row.progress.slices[-1]).long().flatten(0, 1)
                again = reference.resample(network, inputs, symbols.expand(len(requests), -1, -1))
                assert (again == symbols).all(-1).all(-1).sum() == 1


@pytest.mark.parametrize(
    ("sampler", "geometry", "count"),
    [
        (SamplerName.CACHED, GEOMETRY, 8),
        (SamplerName.PARALLEL, GEOMETRY, 8),
        (SamplerName.PARALLEL, Geometry(size=16, slice_size=16), 3),
    ],
)
def test_a_row_does_not_depend_on_the_others(
    backend: BackendFactory, sampler: SamplerName, geometry: Geometry, count: int
) -> None:
    """In the serving dtype a row of a batch is bitwise the row alone; its window may differ, its pixels not."""
    pipe, rows, steps = (
        pipeline(toy_networks(geometry), backend, sampler, geometry),
        states(count, geometry),
        last_steps(geometry),
    )
    together = [next_slices(pipe, rows, [done]) for done in steps]
    alone = [[next_slices(pipe, [row], [done])[0] for row in rows] for done in steps]
    assert together == alone


def test_rows_at_different_slices_share_a_pass(backend: BackendFactory) -> None:
    """Images at one network but different slices advance together and stay what they would be alone."""
    pipe = pipeline(toy_networks(GEOMETRY), backend, SamplerName.PARALLEL)
    first, second = states(2)
    first = pipe.advance(pipe.advance([first]))[0]
    second = pipe.advance([second])[0]
    mixed = pipe.advance([first, second])
    assert images(mixed) == images([*pipe.advance([first]), *pipe.advance([second])])


def test_an_interrupted_image_is_the_same_image(backend: BackendFactory) -> None:
    """Taken up from its slices by another pipeline, an image ends with the same pixels."""
    networks = toy_networks(GEOMETRY)
    whole = finish(pipeline(networks, backend, SamplerName.PARALLEL), states(1))[0]
    for done in range(len(GEOMETRY.steps)):
        progress = Progress(geometry=GEOMETRY, slices=whole.progress.slices[:done])
        resumed = finish(pipeline(networks, backend, SamplerName.PARALLEL), [replace(states(1)[0], progress=progress)])
        assert images(resumed) == images([whole])


def test_each_network_has_its_own_temperature(backend: BackendFactory) -> None:
    """Another temperature of one network leaves all slices before it as they were, and changes its own."""
    pipe, (state,) = pipeline(toy_networks(GEOMETRY), backend, SamplerName.PARALLEL), states(1)
    whole = finish(pipe, [state])[0].progress.slices
    begins = {stage: [step.stage for step in GEOMETRY.steps].index(stage) for stage in Stage}
    for stage, first in begins.items():
        temperature = replace(state.sampling.temperature, **{stage: 0.05})
        other = replace(state, sampling=replace(state.sampling, temperature=temperature))
        slices = finish(pipe, [other])[0].progress.slices
        same = [np.array_equal(a, b) for a, b in zip(slices, whole, strict=True)]
        assert same[: first + 1] == [True] * first + [False]


def test_images_at_different_networks_are_refused_together() -> None:
    """A call advances one network's slices; anything else is a clear error."""
    pipe = pipeline(toy_networks(GEOMETRY), EagerBackend, SamplerName.PARALLEL)
    fresh = states(2)
    with pytest.raises(ConfigError, match="one stage"):
        pipe.advance([pipe.advance(fresh[:1])[0], fresh[1]])
    with pytest.raises(ConfigError, match="1 to 8"):
        pipe.advance(states(9))


@pytest.mark.parametrize("stages", [{Stage.BASE, Stage.SIZE}, {Stage.DEPTH}])
def test_frequencies_match_probabilities(stages: set[Stage]) -> None:
    """Over 500 seeds, the 16 coarse images of a toy, and the 16 fine images of one of them, are as frequent as they should."""
    geometry = Geometry(size=2, slice_size=1, channels=1, coarse_bits=1, fine_bits=1)
    networks, controls = toy_networks(geometry, seed=5), (0, 0, 0)
    bits = np.stack(np.meshgrid(*[np.arange(2)] * 4, indexing="ij"), -1).reshape(-1, 2, 2, 1).astype(np.uint8)
    every = bits << 1 if Stage.BASE in stages else 2 * bits[6] | bits
    steps = [i for i, step in enumerate(geometry.steps) if step.stage in stages]
    begun = Progress.of(every[0], geometry, steps[0])
    rows = [ImageState(seed=seed, controls=controls, progress=begun) for seed in range(500)]
    pipe = Pipeline(networks, toy_card(geometry), capacity=500, sampler=SamplerName.CACHED)
    for _ in steps:
        rows = pipe.advance(rows)
    seen = Counter(slices_of(row.progress, steps) for row in rows)
    expected = np.exp(-nats(networks, every, [geometry.steps[i] for i in steps])) * 500
    found = np.array([seen[slices_of(Progress.of(image, geometry), steps)] for image in every])
    assert found.sum() == 500
    assert expected.sum() == pytest.approx(500)
    assert float(((found - expected) ** 2 / expected).sum()) < 37.7  # 15 degrees of freedom: p = 0.001


def slices_of(progress: Progress, steps: list[int]) -> bytes:
    return b"".join(progress.slices[i].tobytes() for i in steps)


def nats(networks: nn.ModuleDict, images: np.ndarray, steps: list[Step]) -> np.ndarray:
    pixels = torch.from_numpy(images).long()
    controls = torch.zeros(len(pixels), 3, dtype=torch.long)
    total = np.zeros(len(pixels))
    for step in steps:
        k = torch.full((len(pixels),), step.slice)
        total += networks[step.stage](pixels >> 1, pixels & 1, k, controls).double().sum((1, 2)).numpy()
    return total


def test_philox_matches_the_published_vectors() -> None:
    """Known answers of Random123 for zero and all-ones counter and key."""
    zero, ones = torch.tensor(0), torch.tensor(0xFFFFFFFF)
    assert [int(w) for w in philox((zero,) * 4, (zero, zero))] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    full = philox((ones,) * 4, (ones, ones))
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
    sampled = gumbel_max(torch.zeros(5, 7), torch.zeros(5, 7), torch.ones(5))
    assert (sampled == 0).all()
