"""Compiled code: the same images as torch, whatever shares a batch; compiled once."""

import ctypes
import platform
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import TypedDict, Unpack

import pytest
import torch
from torch import Tensor

from models.config import Geometry, Order, Stage, Step, Widths
from models.errors import NativeArgumentError, NotFiniteError
from models.network import Network, build
from models.pipeline import Pipeline
from models.sampling import noise
from models.sampling.backends.cpp import NATIVE_TOKENS
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.fastest import Fastest
from models.sampling.board import Board, Raster, bands
from models.sampling.deal import SamplerName, deal_by_pace
from models.sampling.engine import row_order
from models.sampling.native import binding, compiler, packing
from models.sampling.native.binding import NativeHelper, NativeObject
from models.subscale import Progress
from tests.harness.image_states import GEOMETRY, after, conditioned, finish, images, last_steps, next_slices, states
from tests.harness.toy import ToyVerifier, toy_card, toy_config, toy_networks
from tests.models.sampling.compiled import needs_compiler


class PipelineOptions(TypedDict, total=False):
    """Options of a pipeline."""

    capacity: int
    sampler: SamplerName
    threads: int


def pipeline(
    artefacts: Path | None, *, weights: int = 0, bfloat16: bool = True, **options: Unpack[PipelineOptions]
) -> Pipeline:
    given: PipelineOptions = {"capacity": 8, **options}
    backend = Fastest(artefacts, bfloat16=bfloat16) if artefacts else EagerBackend
    networks = toy_networks(GEOMETRY, weights)
    return Pipeline(networks, toy_card(GEOMETRY), verifier=ToyVerifier(), backend=backend, **given)


@cache
def images_of_torch(weights: int) -> list[bytes]:
    """Eight images by the torch modules; made once for all tests."""
    return images(finish(pipeline(None, weights=weights), states(8)))


@needs_compiler
@pytest.mark.parametrize("weights", range(3))
@pytest.mark.parametrize("sampler", SamplerName)
def test_compiled_code_samples_what_torch_does(artefacts: Path, sampler: SamplerName, weights: int) -> None:
    """In float32 the C++ sampler, its slice embedder included, gives the images of the torch modules."""
    compiled = pipeline(artefacts, weights=weights, sampler=sampler, bfloat16=False)
    assert compiled.numerics != pipeline(None, weights=weights).numerics
    sampled = images(finish(compiled, states(8)))
    assert sampled == images_of_torch(weights)
    assert len(set(sampled)) == 8


@needs_compiler
def test_interlaced_slices_are_alike_by_torch_and_compiled_code(artefacts: Path) -> None:
    """In float32; and not those of the raster order."""
    sampled = {}
    for order in Order:
        geometry = Geometry(size=16, slice_size=4, order=order)
        networks, card, middle = toy_networks(geometry), toy_card(geometry), (0, 7, 16 + 7)
        torch_one, compiled = (
            Pipeline(networks, card, capacity=4, verifier=ToyVerifier(), backend=backend)
            for backend in (EagerBackend, Fastest(artefacts, bfloat16=False))
        )
        sampled[order] = next_slices(torch_one, states(4, geometry), middle)
        assert next_slices(compiled, states(4, geometry), middle) == sampled[order]
    assert sampled[Order.RASTER] != sampled[Order.INTERLACED]


def arguments(library: ctypes.CDLL, part: str) -> tuple[dict[str, int], dict[str, Tensor]]:
    """What a toy's embedder or decoder is made of."""
    network, layout = toy_networks(GEOMETRY)[Stage.SIZE], binding.layout(library)
    assert isinstance(network, Network)
    decoder = network.decoder
    if part == "decoder":
        raster = Raster(decoder.slice_size, decoder.widths.reach, torch.device("cpu"))
        board = Board.empty(decoder, raster, 2, 2)
        return packing.decoder_numbers(decoder, board), packing.decoder_tensors(decoder, board, raster, layout)
    return packing.embedder_numbers(network), packing.embedder_tensors(network, layout)


@needs_compiler
@pytest.mark.parametrize("part", ["embedder", "decoder"])
def test_compiled_code_refuses_what_it_was_not_made_for(artefacts: Path, part: str) -> None:
    """Every number and tensor left out, of a wrong size or of a wrong dtype is named; so is one that nobody reads."""
    library = binding.library(artefacts, bfloat16=False)
    numbers, tensors = arguments(library, part)
    create = partial(NativeObject, library, part, helper=NativeHelper(library, 1))
    create(numbers=numbers, tensors=tensors)
    for name in numbers:
        with pytest.raises(NativeArgumentError, match=f"{part}: {name} is missing"):
            create(numbers={key: value for key, value in numbers.items() if key != name}, tensors=tensors)
    for name, tensor in tensors.items():
        left_out = {key: value for key, value in tensors.items() if key != name}
        with pytest.raises(NativeArgumentError, match=f"{part}: {name} is missing"):
            create(numbers=numbers, tensors=left_out)
        short = tensor.flatten()[:1] if tensor.numel() > 1 else tensor.repeat(2)
        for wrong in (short, tensor.to(torch.int32)):
            with pytest.raises(
                NativeArgumentError, match=rf"^{part}: {name}: expected .*\d+ of \w+, got {wrong.numel()} "
            ):
                create(numbers=numbers, tensors={**tensors, name: wrong})
    with pytest.raises(NativeArgumentError, match=f"{part}: no use for bias, more"):
        create(numbers={**numbers, "more": 1}, tensors={**tensors, "bias": torch.zeros(3)})


@needs_compiler
def test_one_image_of_nans_does_not_spoil_the_next(artefacts: Path) -> None:
    """An embedder and a board that have seen NaN everywhere sample afterwards as fresh ones do."""
    networks = toy_networks(GEOMETRY)
    for network in networks.values():
        network.get_parameter("embedder.controls.0.weight")[1] = torch.nan
    used, fresh = (
        Pipeline(networks, toy_card(GEOMETRY), capacity=8, verifier=ToyVerifier(), backend=Fastest(artefacts))
        for _ in range(2)
    )
    rows = [replace(row, controls=(0, *row.controls[1:])) for row in states(8)]
    spoilt = [replace(row, controls=(1, *row.controls[1:])) for row in rows]
    for done in last_steps(GEOMETRY):
        with pytest.raises(NotFiniteError):
            used.advance(after(spoilt, done))
    assert images(finish(used, rows)) == images(finish(fresh, rows))


@needs_compiler
@pytest.mark.parametrize(
    ("geometry", "widths"),
    [
        (GEOMETRY, {"reach": 1}),
        (GEOMETRY, {"reach": 3}),
        (GEOMETRY, {"expansion": 1}),
        (GEOMETRY, {"expansion": 4}),
        (GEOMETRY, {"blocks": 1, "embedder_blocks": 2}),
        (GEOMETRY, {"width": 96, "heads": 3, "conv_width": 48}),
        (GEOMETRY, {"width": 128, "heads": 2, "conv_width": 64}),
        (Geometry(size=4, slice_size=4), {}),
        (Geometry(size=8, slice_size=4, channels=1), {}),
        (Geometry(size=8, slice_size=4, coarse_bits=2, fine_bits=2), {}),
        (Geometry(size=8, slice_size=4, coarse_bits=1, fine_bits=1), {}),
        (Geometry(size=8, slice_size=4, coarse_bits=5, fine_bits=3), {}),
    ],
)
def test_compiled_code_samples_every_shape_as_torch_does(
    artefacts: Path, geometry: Geometry, widths: dict[str, int]
) -> None:
    """Reach, expansion, depth, width, slices side by side, channels and bits: in float32 the slices of the torch modules."""
    config = toy_config(geometry)
    card = replace(
        toy_card(geometry),
        config=replace(
            config, widths={stage: Widths(**{**asdict(each), **widths}) for stage, each in config.widths.items()}
        ),
    )
    networks = build(card.config)
    generator = torch.Generator().manual_seed(1)
    for parameter in networks.parameters():
        parameter.data.normal_(0, 0.3 if parameter.ndim < 2 else parameter[0].numel() ** -0.5, generator=generator)
    networks.eval().requires_grad_(requires_grad=False)
    plain, compiled = (
        Pipeline(networks, card, capacity=4, verifier=ToyVerifier(), backend=backend)
        for backend in (EagerBackend, Fastest(artefacts, bfloat16=False))
    )
    assert "native" in compiled.numerics
    rows = [replace(row, sampling=replace(row.sampling, candidates=1)) for row in states(3, geometry)[1:]]
    assert [row.sampling.guidance for row in rows] == [1, 2]
    sampled = next_slices(compiled, rows, last_steps(geometry))
    assert sampled == next_slices(plain, rows, last_steps(geometry))
    assert len(set(sampled)) == len(sampled)


@needs_compiler
@pytest.mark.parametrize("processor", ["x86-64-v2", "x86-64-v3"])
def test_code_for_lesser_processors_samples_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processor: str
) -> None:
    """With narrower registers: other panels of weights, the same images in float32. All other tests run native code."""
    if platform.machine() != "x86_64":
        pytest.skip("levels of x86-64")
    replaced = {"-march=native": f"-march={processor}", "-O3": "-O1"}  # half the time to compile
    monkeypatch.setattr(compiler, "FLAGS", tuple(replaced.get(flag, flag) for flag in compiler.FLAGS))
    assert images(finish(pipeline(tmp_path, bfloat16=False), states(8))) == images_of_torch(0)


@needs_compiler
def test_a_compiled_row_does_not_depend_on_its_company(artefacts: Path) -> None:
    """As it is served: rows of a batch, alone, at another capacity and pixel by pixel are bitwise the same images."""
    together = images(finish(pipeline(artefacts), states(8)))
    alone = pipeline(artefacts, capacity=1)
    assert together == [images(finish(alone, [row]))[0] for row in states(8)]
    assert together == images(finish(pipeline(artefacts, capacity=11, sampler=SamplerName.CACHED), states(8)))


@needs_compiler
@pytest.mark.parametrize("threads", [2, 3, 9])
def test_threads_change_nothing_but_time(artefacts: Path, threads: int) -> None:
    """However many there are, also more than rows: the same images, under the same id."""
    one, many = pipeline(artefacts), pipeline(artefacts, threads=threads)
    assert many.numerics == one.numerics
    for rows in (1, 5, 8):
        assert images(finish(many, states(rows))) == images(finish(one, states(rows)))


@needs_compiler
def test_a_compiled_image_alone_takes_as_few_passes_as_by_torch(artefacts: Path) -> None:
    """All tokens of every pass are its own, whatever its pace; rounding once left it one less."""
    passes = []
    for each in (pipeline(None, capacity=NATIVE_TOKENS), pipeline(artefacts, capacity=NATIVE_TOKENS, bfloat16=False)):
        finish(each, states(1))
        passes.append({stage: engine.passes for stage, engine in each.engines.items()})
    of_torch, compiled = passes
    assert compiled == of_torch


def test_a_row_alone_has_all_tokens_whatever_its_pace() -> None:
    """Of 3 x / x with x = 3.50000143 float32 makes less than 3."""
    pace = torch.tensor([14680070 / 2**22, 2.0])
    assert deal_by_pace(torch.tensor([100, 0]), pace, 4).tolist() == [4, 0]
    assert deal_by_pace(torch.tensor([100, 100]), pace, 2).tolist() == [1, 1]


@pytest.mark.parametrize(("rows", "threads"), [(8, 1), (8, 3), (5, 2), (2, 4)])
def test_threads_have_as_many_rows_each(rows: int, threads: int) -> None:
    """However many of a board's rows are taken, no thread has two more than another; and each row is taken once."""
    order = row_order(rows, threads)
    assert sorted(order) == list(range(rows))
    for taken in range(rows + 1):
        counts = [len({*order[:taken]} & {*range(rows)[band]}) for band in bands(rows, threads)]
        assert max(counts) - min(counts) <= 1


@needs_compiler
def test_an_interrupted_compiled_image_is_the_same_image(artefacts: Path) -> None:
    """Resumed from any of its slices by another worker, an image ends with the same pixels."""
    whole, other = finish(pipeline(artefacts), states(2))[1], pipeline(artefacts)
    for done in range(len(GEOMETRY.steps)):
        resumed = replace(states(2)[1], progress=Progress(geometry=GEOMETRY, slices=whole.progress.slices[:done]))
        assert images(finish(other, [resumed])) == images([whole])


@needs_compiler
@pytest.mark.parametrize("seed", [0, 1, 2**32 + 5, 2**64 - 1])
@pytest.mark.parametrize("values", [2, 8, 32])
def test_compiled_noise_is_bitwise_the_same(artefacts: Path, seed: int, values: int) -> None:
    """At every stage, also where the last block of values or the last register of positions is not full."""
    library = binding.library(artefacts, bfloat16=True)
    for stage in Stage:
        step, shape = Step(stage, 3), (20, 3, values)
        for candidate in (0, 3):
            found = binding.gumbel(library, seed, step, shape, candidate)
            assert torch.equal(found, noise.gumbel(seed, step, shape, candidate))


@needs_compiler
def test_compiled_code_conditions_a_slice_the_same(artefacts: Path) -> None:
    """Forecasts and offset are exactly torch's at every step, start and gates up to rounding."""
    plain, compiled = pipeline(None), pipeline(artefacts, bfloat16=False)
    for done in range(len(GEOMETRY.steps)):
        (state,) = after(states(1), done)
        found, expected = (conditioned(each, state)[0] for each in (compiled, plain))
        assert torch.equal(found.forecasts, expected.forecasts)
        assert torch.equal(found.offset, expected.offset)
        torch.testing.assert_close((found.start, found.gates), (expected.start, expected.gates), rtol=1e-4, atol=1e-5)


@needs_compiler
def test_code_is_compiled_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One artefact for all stages and all weights; a second start finds it."""
    monkeypatch.setattr(compiler, "FLAGS", tuple({"-O3": "-O1"}.get(flag, flag) for flag in compiler.FLAGS))
    pipeline(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 1
    pipeline(tmp_path, weights=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept


def test_without_a_compiler_torch_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Slow is better than not at all, and the log says why."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    slow, plain = pipeline(tmp_path), pipeline(None)
    assert "no-such-compiler" in caplog.text
    assert slow.numerics == plain.numerics
    assert next_slices(slow, states(1), [0]) == next_slices(plain, states(1), [0])
