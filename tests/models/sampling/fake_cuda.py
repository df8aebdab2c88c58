"""The part of torch.cuda that captures graphs, on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from models.sampling.backends import graph
from models.sampling.backends.graph import GraphBackend
from models.sampling.board import Board


class FakeCuda:
    """The part of torch.cuda that captures a graph; writes down what is called. Devices are entered by `device`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.devices: list[torch.device] = []
        for name, fake in {
            "Stream": lambda: FakeStream("side", self.log),
            "current_stream": lambda: FakeStream("current", self.log),
            "stream": self.entered,
            "graph": self.entered,
            "CUDAGraph": FakeGraph,
            "device": self.on,
        }.items():
            monkeypatch.setattr(torch.cuda, name, fake)

    @contextmanager
    def entered(self, _what: object) -> Iterator[None]:
        """As torch.cuda.stream and torch.cuda.graph."""
        yield

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        """As torch.cuda.device."""
        self.devices.append(device)
        yield
        self.devices.pop()


class FakeStream:
    """A stream that waits for nothing but says so."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def wait_stream(self, other: FakeStream) -> None:
        """As torch.cuda.Stream.wait_stream."""
        self.log.append(f"{self.name} waits for {other.name}")


class FakeGraph:
    """A graph that holds nothing."""

    def replay(self) -> None:
        """As torch.cuda.CUDAGraph.replay."""


def graph_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> type[GraphBackend]:
    """Return the backend with graphs that are not compiled, and run what was captured."""
    FakeCuda(monkeypatch)
    monkeypatch.setattr(torch, "compile", lambda module, **_: module)
    monkeypatch.setattr(graph, "recorded", captured)
    return GraphBackend


def captured(step: Callable[[Board], Tensor], board: Board) -> tuple[Callable[[], None], Tensor]:
    """As `models.sampling.backends.graph.recorded`: a replay writes its result where the capture did."""
    result = step(board)

    def replay() -> None:
        result.copy_(step(board))

    return replay, result
