"""Compiled engines: the same pictures as torch's, whoever shares a batch, compiled once."""

from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

import pytest
import torch

from models.config import Geometry, Order, Stage, Step
from models.errors import NoCompilerError
from models.pipeline import Pipeline
from models.sampling import noise
from models.sampling.board import bands
from models.sampling.engine import Sampler, seats
from models.sampling.native import binding, compiler
from models.subscale import Progress
from tests.harness.toy import ToyVerifier, toy_card, toy_networks
from tests.models.sampling.test_sampling import finish, pictures, states

GEOMETRY = Geometry(size=8, slice_size=4)


def can_compile() -> bool:
    try:
        compiler.compile_with("--version")
    except NoCompilerError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not can_compile(), reason="needs a C++ compiler")


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artefacts")


class Options(TypedDict, total=False):
    """Of a pipeline."""

    capacity: int
    sampler: Sampler
    threads: int


def pipeline(
    artefacts: Path | None, *, weights: int = 0, bfloat16: bool = True, **options: Unpack[Options]
) -> Pipeline:
    given: Options = {"capacity": 8, **options}
    whole = Pipeline(toy_networks(GEOMETRY, weights), toy_card(GEOMETRY), verifier=ToyVerifier(), **given)
    return whole.compile(artefacts, bfloat16=bfloat16) if artefacts else whole


@needs_compiler
@pytest.mark.parametrize("weights", range(3))
@pytest.mark.parametrize("sampler", Sampler)
def test_compiled_code_draws_what_torch_does(artefacts: Path, sampler: Sampler, weights: int) -> None:
    """In float32 the C++ sampler, its slice embedder included, gives the pictures of the torch modules."""
    compiled = pipeline(artefacts, weights=weights, sampler=sampler, bfloat16=False)
    assert compiled.numerics != pipeline(None, weights=weights).numerics
    drawn = pictures(finish(compiled, states(8)))
    assert drawn == pictures(finish(pipeline(None, weights=weights), states(8)))
    assert len(set(drawn)) == 8


@needs_compiler
def test_interlaced_slices_are_drawn_alike_by_torch_and_compiled_code(artefacts: Path) -> None:
    """In float32, by all samplers; and otherwise than in raster order."""
    drawn = {}
    for order in Order:
        geometry = Geometry(size=16, slice_size=4, order=order)
        model = (toy_networks(geometry), toy_card(geometry))
        torch_one, compiled = (Pipeline(*model, capacity=4, verifier=ToyVerifier()) for _ in range(2))
        compiled.compile(artefacts, bfloat16=False)
        drawn[order] = pictures(finish(torch_one, states(4, geometry)))
        assert pictures(finish(compiled, states(4, geometry))) == drawn[order]
    assert drawn[Order.RASTER] != drawn[Order.INTERLACED]


@needs_compiler
def test_a_compiled_row_does_not_depend_on_its_company(artefacts: Path) -> None:
    """As it is served: rows of a batch, alone, at another capacity and pixel by pixel are bitwise the same pictures."""
    together = pictures(finish(pipeline(artefacts), states(8)))
    alone = pipeline(artefacts, capacity=1)
    assert together == [pictures(finish(alone, [row]))[0] for row in states(8)]
    assert together == pictures(finish(pipeline(artefacts, capacity=11, sampler=Sampler.CACHED), states(8)))


@needs_compiler
@pytest.mark.parametrize("threads", [2, 3, 16])
@pytest.mark.parametrize("rows", [1, 5, 8])
def test_threads_change_nothing_but_time(artefacts: Path, threads: int, rows: int) -> None:
    """However many draw, also more than there are rows: the same pictures, under the same id."""
    one, many = pipeline(artefacts), pipeline(artefacts, threads=threads)
    assert pictures(finish(many, states(rows))) == pictures(finish(one, states(rows)))
    assert many.numerics == one.numerics


@pytest.mark.parametrize(("rows", "threads"), [(8, 1), (8, 3), (5, 2), (2, 4)])
def test_threads_have_as_many_rows_each(rows: int, threads: int) -> None:
    """However many of a board's rows are taken, no thread has two more than another; and each row is taken once."""
    order = seats(rows, threads)
    assert sorted(order) == list(range(rows))
    for taken in range(rows + 1):
        counts = [len({*order[:taken]} & {*range(rows)[band]}) for band in bands(rows, threads)]
        assert max(counts) - min(counts) <= 1


@needs_compiler
def test_an_interrupted_compiled_picture_is_the_same_picture(artefacts: Path) -> None:
    """Taken up from any of its slices by another worker, a picture ends with the same pixels."""
    whole = finish(pipeline(artefacts), states(2))[1]
    for done in range(len(GEOMETRY.steps)):
        taken_up = replace(states(2)[1], progress=Progress(geometry=GEOMETRY, slices=whole.progress.slices[:done]))
        assert pictures(finish(pipeline(artefacts), [taken_up])) == pictures([whole])


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
@pytest.mark.parametrize("done", range(len(GEOMETRY.steps)))
def test_compiled_code_tells_a_slice_the_same(artefacts: Path, done: int) -> None:
    """Forecasts and offset are exactly torch's at every step, start and gates up to rounding."""
    whole = finish(pipeline(None), states(1))[0]
    state = replace(whole, progress=Progress(geometry=GEOMETRY, slices=whole.progress.slices[:done]))
    plain, compiled = pipeline(None), pipeline(artefacts, bfloat16=False)
    told, wanted = compiled.given(state).conditioning, plain.given(state).conditioning
    assert torch.equal(told.forecasts, wanted.forecasts)
    assert torch.equal(told.offset, wanted.offset)
    torch.testing.assert_close((told.start, told.gates), (wanted.start, wanted.gates), rtol=1e-4, atol=1e-5)


@needs_compiler
def test_code_is_compiled_once_and_kept(tmp_path: Path) -> None:
    """One artefact for all stages and all weights; a second start finds it."""
    pipeline(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 1
    pipeline(tmp_path, weights=1)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept


def test_without_a_compiler_torch_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Slow is better than not at all, and the log says why."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    slow = pipeline(tmp_path)
    assert "no-such-compiler" in caplog.text
    assert slow.numerics == pipeline(None).numerics
    assert pictures(finish(slow, states(1))) == pictures(finish(pipeline(None), states(1)))
