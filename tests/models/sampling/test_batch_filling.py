"""Slices that start in one call: what the pixels of the other tests cannot show, and what they rest on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from models.config import Geometry, Order, Stage, Step
from models.errors import NotFiniteError
from models.network import Network, build
from models.pipeline import ImageState, Pipeline, next_step
from models.sampling.backends.backend import BackendFactory
from models.sampling.backends.eager import EagerBackend
from models.sampling.batch_filling import Filling, RoundInputs
from models.sampling.deal import deal_by_pace
from models.sampling.noise import gumbel, gumbel_of, noise_words
from models.sampling.passes import Pass
from models.sampling.workspace import Workspace
from tests.harness.image_states import GEOMETRY, after, conditioned, last_steps, next_slices, states
from tests.harness.toy import ToyVerifier, toy_card, toy_config, toy_networks
from tests.models.sampling.fake_cuda import graph_on_a_cpu

ROWS = 8


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> BackendFactory:
    """The backend for CUDA, on a CPU."""
    return graph_on_a_cpu(monkeypatch)


def pipeline(backend: BackendFactory, geometry: Geometry = GEOMETRY, *, capacity: int = ROWS) -> Pipeline:
    """Return a toy in float32."""
    networks = toy_networks(geometry)
    return Pipeline(networks, toy_card(geometry), capacity=capacity, verifier=ToyVerifier(), backend=backend)


@pytest.mark.parametrize("symbols", [2, 8, 32])
def test_noise_of_many_slices_is_that_of_each(symbols: int) -> None:
    """Bit for bit: seeds of 64 bits, all stages, slices and candidates."""
    addresses = [
        (seed, Step(stage, seed % 7), candidate)
        for seed in (0, 1, 2**32 + 5, 2**64 - 1)
        for stage in Stage
        for candidate in (0, 3)
    ]
    shape = (20, 3, symbols)
    found = gumbel_of(torch.tensor([noise_words(*address) for address in addresses]), shape)
    for row, (seed, step, candidate) in zip(found, addresses, strict=True):
        assert torch.equal(row, gumbel(seed, step, shape, candidate))


def filled(pipe: Pipeline, done: int, rows: list[int], which: list[int]) -> list[list[Tensor]]:
    """Return what a fill of `rows` with some of eight images writes for each: conditioning of its lanes, noise and scales."""
    plain = [replace(state, sampling=replace(state.sampling, candidates=1)) for state in after(states(ROWS), done)]
    requests = [pipe.candidates(plain[each])[0] for each in which]
    engine = pipe.engines[requests[0].step.stage]
    with torch.inference_mode():
        engine.backend.fill(rows, requests)
    board = engine.workspace.board
    kept = (*board.conditioning, board.noise, board.temperature, board.guidance, board.front, board.seen, board.pace)
    return [[each.view(ROWS, -1)[row].clone() for each in kept] for row in rows]


@pytest.mark.parametrize("done", last_steps(GEOMETRY))
def test_a_row_is_filled_alike_alone_and_in_a_full_board(together: BackendFactory, done: int) -> None:
    """Bit for bit, whatever its place and whatever idle rows hold from the round before."""
    pipe = pipeline(together)
    whole = filled(pipe, done, [*range(ROWS)], [*range(ROWS)])
    for which in range(ROWS):
        (alone,) = filled(pipe, done, [(3 * which + 5) % ROWS], [which])
        assert all(torch.equal(one, other) for one, other in zip(alone, whole[which], strict=True))


@pytest.mark.parametrize("done", [0, *last_steps(GEOMETRY)])
def test_a_fill_writes_what_row_by_row_does(together: BackendFactory, done: int) -> None:
    """Noise, forecasts, offsets and the rest are equal, start and gates up to rounding."""
    pipes = pipeline(together), pipeline(EagerBackend)
    for state in after(states(4), done):
        for found, expected in zip(*(conditioned(pipe, state) for pipe in pipes), strict=True):
            torch.testing.assert_close((found.start, found.gates), (expected.start, expected.gates))
            assert torch.equal(found.forecasts, expected.forecasts)
            assert torch.equal(found.offset, expected.offset)
        boards = [pipe.engines[next_step(state).stage].workspace.board for pipe in pipes]
        for name in ("noise", "temperature", "guidance", "front", "seen", "pace"):
            one, other = (getattr(board, name)[0] for board in boards)
            assert torch.equal(one, other), name


def test_rows_that_start_nothing_are_final(together: BackendFactory) -> None:
    """A round of one image takes no passes for the rows of the round before."""
    pipe = pipeline(together)
    (request,) = pipe.candidates(states(2)[1])
    engine = pipe.engines[Stage.BASE]
    engine.backend.fill([*range(ROWS)], [request] * ROWS)
    engine.backend.fill([3], [request])
    assert engine.workspace.board.front.tolist() == [GEOMETRY.positions] * 3 + [0] + [GEOMETRY.positions] * 4


def test_more_candidates_than_rows_are_sampled_in_turns(together: BackendFactory) -> None:
    """The kept ones, and their scores, are those of row by row."""
    rows = states(3)
    found, expected = (pipeline(backend, capacity=2) for backend in (together, EagerBackend))
    assert [len(found.candidates(row)) for row in rows] == [1, 1, 3]
    kept = [[(next_slice(pipe, row), pipe.advance([row])[0].score) for row in rows] for pipe in (found, expected)]
    assert kept[0] == kept[1]


def next_slice(pipe: Pipeline, state: ImageState) -> bytes:
    """Return the next slice of one image."""
    return pipe.advance([state])[0].progress.slices[-1].tobytes()


def test_an_unguided_row_does_not_feel_a_guided_one(together: BackendFactory) -> None:
    """Nor the other way round, bit for bit; and nothing of a guided slice stays on its row."""
    pipe = pipeline(together)
    rows = [
        replace(row, controls=(1, 2, 1), sampling=replace(row.sampling, guidance=(1.0, 3.0)[row.seed % 2]))
        for row in states(ROWS)
    ]
    mixed = [row.progress.slices[-1].tobytes() for row in pipe.advance(rows)]
    assert [next_slice(pipe, row) for row in reversed(rows)] == mixed[::-1]


def test_a_row_of_nans_does_not_spoil_the_next(together: BackendFactory) -> None:
    """After the error, slices are what they were."""
    pipe = pipeline(together)
    rows = [replace(row, controls=(0, *row.controls[1:])) for row in states(4)]
    before = next_slices(pipe, rows, last_steps(GEOMETRY))
    for network in pipe.networks.values():
        network.get_parameter("embedder.controls.0.weight")[1] = torch.nan
    for done in last_steps(GEOMETRY):
        with pytest.raises(NotFiniteError):
            pipe.advance(after([replace(rows[0], controls=(1, 0, 0)), *rows[1:]], done))
    assert next_slices(pipe, rows, last_steps(GEOMETRY)) == before


class HostWork(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down the operations that move numbers between host and device, or read one."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 - of torch
        """As torch calls it."""
        result = func(*args, **(kwargs or {}))
        tensors = [each for each in pytree.tree_leaves((args, result)) if isinstance(each, Tensor)]
        crosses = len({each.device.type for each in tensors}) > 1
        name = func.overloadpacket.__name__
        if name in {"_local_scalar_dense", "nonzero"} or (name in {"_to_copy", "copy_"} and crosses):
            self.found.append(name)
        return result


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("order", Order)
def test_neither_fill_nor_pass_needs_anything_from_the_host(
    monkeypatch: pytest.MonkeyPatch, stage: Stage, order: Order
) -> None:
    """On a device without numbers: no table is copied to it, and none is read. So both can be captured."""
    network = build(toy_config(Geometry(size=8, slice_size=4, order=order)))[stage].to("meta")
    assert isinstance(network, Network)
    workspace = Workspace.of(network, rows=4, guided=True)
    memory = torch.zeros(4, sum(RoundInputs.sizes(workspace)), dtype=torch.uint8, device="meta")
    filling, inputs = Filling(network), RoundInputs.of(memory, workspace)
    step = Pass(network.decoder, workspace.raster, deal_by_pace, tokens=4)
    known = torch.zeros(3)
    monkeypatch.delattr(torch, "tensor")
    with torch.no_grad(), HostWork() as work:
        filling(workspace.board, inputs)
        step(workspace.board, 2)
        assert work.found == []
        known.to("meta")
        assert len(work.found) == 1


def test_row_by_row_works_on_any_device() -> None:
    """A check on a GPU compares with it; on a device without numbers."""
    pipe = Pipeline(toy_networks(GEOMETRY).to("meta"), toy_card(GEOMETRY), capacity=2)
    for state in after(states(1), 0) + after(states(1), 7):
        assert all(part.device.type == "meta" for side in conditioned(pipe, state) for part in side)


@pytest.mark.parametrize("stage", [Stage.BASE, Stage.DEPTH])
def test_a_fill_is_one_graph_for_the_compiler(stage: Stage) -> None:
    """It is traced without a break, and writes the same."""
    network = toy_networks(GEOMETRY)[stage]
    assert isinstance(network, Network)
    plain, traced = (Workspace.of(network, rows=2, guided=True) for _ in range(2))
    bytes_ = torch.randint(256, (2, sum(RoundInputs.sizes(plain))), dtype=torch.uint8)
    inputs = RoundInputs.of(bytes_, plain)
    for tensor, value in ((inputs.words, 3), (inputs.controls, 1), (inputs.scales, 0.5)):
        tensor.fill_(value)
    filling = Filling(network)
    with torch.inference_mode():
        filling(plain.board, inputs)
        torch.compile(filling, fullgraph=True, dynamic=False, backend="eager")(traced.board, inputs)
    for one, other in zip(pytree.tree_leaves(plain.board), pytree.tree_leaves(traced.board), strict=True):
        assert torch.equal(one, other)


def test_the_numerics_name_the_rows_that_are_filled_together(together: BackendFactory) -> None:
    """Kernels are chosen for their shape."""
    assert "/filled-3/" in pipeline(together, capacity=3).numerics
    assert "filled" not in pipeline(EagerBackend).numerics
