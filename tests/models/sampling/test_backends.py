"""What pixels cannot show of a backend: how many passes it takes, and how a GPU is addressed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch._inductor
from torch import Tensor

from models.config import Sampling, Stage, Temperatures
from models.pipeline import Pipeline
from models.sampling.backends import graph
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.fastest import Fastest
from models.sampling.backends.graph import GRAPH_PASSES, GraphBackend, recorded
from models.sampling.board import Board
from models.sampling.deal import SamplerName
from models.sampling.workspace import Workspace
from tests.harness.image_states import GEOMETRY, finish, states
from tests.harness.toy import toy_card, toy_networks
from tests.models.sampling.compiled import COMPILED
from tests.models.sampling.fake_cuda import FakeCuda


@pytest.mark.parametrize("compiled", COMPILED)
def test_parallel_takes_fewer_passes_than_cached_on_one_image(artefacts: Path, *, compiled: bool) -> None:
    """At every network: the cached sampler takes one for each pixel of each slice."""
    backend = Fastest(artefacts, bfloat16=False) if compiled else EagerBackend
    row = replace(states(1)[0], sampling=Sampling(temperature=Temperatures(base=0.2, size=0.2, depth=0.2)))
    passes: dict[SamplerName, dict[Stage, int]] = {}
    for sampler in SamplerName:
        pipeline = Pipeline(toy_networks(GEOMETRY), toy_card(GEOMETRY), capacity=8, sampler=sampler, backend=backend)
        finish(pipeline, [row])
        passes[sampler] = {stage: engine.passes for stage, engine in pipeline.engines.items()}
    for stage in GEOMETRY.stages:
        slices = sum(step.stage is stage for step in GEOMETRY.steps)
        assert passes[SamplerName.PARALLEL][stage] < passes[SamplerName.CACHED][stage] == slices * GEOMETRY.positions


def test_a_capture_waits_for_the_stream_that_fills_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """And later work for the capture's first passes; else the GPU may run them in any order."""
    cuda, board = FakeCuda(monkeypatch), Workspace.of(toy_networks(GEOMETRY)[Stage.BASE], rows=1).board  # type: ignore[arg-type]

    def step(_board: Board) -> Tensor:
        cuda.log.append("pass")
        return torch.tensor(0)

    recorded(step, board)
    assert cuda.log == ["side waits for current", "pass", "pass", "pass", "current waits for side", "pass"]


def test_a_graph_is_captured_and_replayed_on_the_device_of_its_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with two GPUs the current device is the first, whatever device the weights are on."""
    cuda, found = FakeCuda(monkeypatch), list[list[torch.device]]()

    def replay() -> None:
        found.append([*cuda.devices])

    def capture(_step: object, _board: Board) -> tuple[Callable[[], None], Tensor]:
        replay()
        return replay, torch.tensor(0)

    monkeypatch.setattr(graph, "recorded", capture)
    monkeypatch.setattr(torch, "compile", lambda step, **_: step)
    workspace = Workspace.of(toy_networks(GEOMETRY)[Stage.BASE], rows=1, guided=True)  # type: ignore[arg-type]
    backend = GraphBackend(workspace)
    backend.fill([], [])
    assert backend.finish(2) == GRAPH_PASSES
    assert found == [[workspace.board.front.device]] * (3 + 1 + GRAPH_PASSES)


def test_what_changes_a_graphs_last_bits_is_in_its_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that leave Inductor no choice by a stopwatch, and the flags of TF32."""
    FakeCuda(monkeypatch)
    compiled: list[dict[str, object]] = []
    monkeypatch.setattr(graph, "recorded", lambda *_: (lambda: None, torch.tensor(0)))

    def compile_(step: object, **options: object) -> object:
        compiled.append(options)
        return step

    monkeypatch.setattr(torch, "compile", compile_)
    backend = GraphBackend(Workspace.of(toy_networks(GEOMETRY)[Stage.BASE], rows=3))  # type: ignore[arg-type]
    assert compiled == [{"fullgraph": True, "dynamic": False, "options": graph.OPTIONS}] * 2  # filling and pass
    assert graph.known_options() == graph.OPTIONS
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before, numerics = (matmul.allow_tf32, cudnn.allow_tf32), set()
    try:
        for matmul.allow_tf32, cudnn.allow_tf32 in itertools.product((False, True), repeat=2):
            numerics.add(backend.numerics)
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
    assert len(numerics) == 4
    assert "graph/float32/M-3/filled-3/deterministic+batch_invariant/tf32-off" in numerics


def test_options_that_an_older_torch_lacks_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the compilation and of the numerics, which then promise less."""
    FakeCuda(monkeypatch)
    compiled: list[object] = []
    monkeypatch.setattr(graph, "recorded", lambda *_: (lambda: None, torch.tensor(0)))
    monkeypatch.setattr(torch._inductor, "list_options", lambda: ["deterministic", "shape_padding"])  # noqa: SLF001

    def compile_(step: object, **options: object) -> object:
        compiled.append(options["options"])
        return step

    monkeypatch.setattr(torch, "compile", compile_)
    backend = GraphBackend(Workspace.of(toy_networks(GEOMETRY)[Stage.BASE], rows=3))  # type: ignore[arg-type]
    assert compiled == [{"deterministic": True, "shape_padding": False}] * 2
    assert "/deterministic/tf32" in backend.numerics
