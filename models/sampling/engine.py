"""A network ready to draw: its pass, compiled where that is possible, and the board it works on.

On a CPU the pass is compiled ahead of time by Inductor into a shared library, kept on disk and loaded in milliseconds
afterwards; on a GPU it is compiled at start and captured as a CUDA graph. Without a compiler it runs eagerly: same pixels
up to the last bits, several times slower.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from models import decoder, layers
from models.decoder import Conditioning, Decoder
from models.sampling import board, noise, passes
from models.sampling.board import Board
from models.sampling.passes import Deal, Pass

logger = logging.getLogger(__name__)

Step = Callable[[Board], Tensor]

GRAPH_PASSES = 8
"""Passes between two looks at a GPU: asking it for the state of the board costs more than a pass too many."""

SOURCES = (decoder, layers, board, noise, passes)
"""Modules whose code is compiled into a pass."""

INDUCTOR = {"assert_indirect_indexing": False}
"""Every index comes from a `Raster`; checking each in the innermost loop cost 7 % of a pass."""

LITERAL = 8
"""Inductor writes tensors of up to so many values into the code itself."""

for kind in (Board, Conditioning):
    pytree._register_namedtuple(kind, serialized_type_name=f"spn.{kind.__name__}")  # noqa: SLF001 - torch.export asks for it


class Given(NamedTuple):
    """One slice to be drawn: conditioning (1, N, ...), noise (N, C, V), temperature."""

    conditioning: Conditioning
    noise: Tensor
    temperature: float


class Engine:
    """Draws up to `rows` slices of one network together; M = `tokens` a pass."""

    def __init__(self, network: Decoder, deal: Deal, *, rows: int, tokens: int) -> None:
        self.step = Pass(network, deal, tokens).eval()
        self.board = Board.empty(network, self.step.raster, rows)
        self.run: Step = self.step
        self.passes, self.between = 0, 1

    def compile(self, folder: Path, numerics: str) -> None:
        """Replace the eager pass by a compiled one, kept in `folder` on a CPU.

        One artefact serves every network of the same shape: base and size, all picture sizes, all versions of the weights.
        """
        if self.board.front.device.type == "cpu":
            self.run = ahead_of_time(self.step, self.board, folder / f"pass-{self._identity(numerics)}.pt2")
        else:
            compiled: Step = torch.compile(self.step, fullgraph=True, dynamic=False)
            self.run, self.between = captured(compiled, self.board), GRAPH_PASSES

    def _identity(self, numerics: str) -> str:
        """Of all that is compiled in: code, shapes, numerics."""
        network, rows = self.step.decoder, len(self.board.front)
        shapes = [
            (name, t.tolist() if t.numel() <= LITERAL else tuple(t.shape)) for name, t in network.state_dict().items()
        ]
        what = f"{numerics} {rows} {network.slice_size} {network.value_bits} {network.widths} {shapes}"
        code = b"".join(Path(module.__file__).read_bytes() for module in SOURCES if module.__file__)
        return hashlib.sha256(what.encode() + code).hexdigest()[:16]

    def draw(self, slices: Sequence[Given]) -> Tensor:
        """The symbols of each slice, (len(slices), N, C)."""
        for row, given in enumerate(slices):
            self.board.place(row, *given)
        while True:
            for _ in range(self.between):
                left = self.run(self.board)
            self.passes += self.between
            if not int(left):
                break
        rows, raster = len(self.board.front), self.step.raster
        grid = self.board.values.view(rows, raster.slots, -1)[: len(slices), raster.own[:-1]]
        return grid & (self.step.decoder.symbols - 1)


def can_compile() -> bool:
    """Whether Inductor finds a C++ compiler."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def ahead_of_time(step: Pass, example: Board, artefact: Path) -> Step:
    """The pass as a shared library, compiled unless `artefact` is already there. Weights are given to it afterwards."""
    if not artefact.exists():
        logger.info("compiling a pass: once per machine, half a minute on two cores")
        artefact.parent.mkdir(parents=True, exist_ok=True)
        partial = artefact.with_name(f"{uuid4().hex}.pt2")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own old parts
            exported = torch.export.export(step, (example,))
            torch._inductor.aoti_compile_and_package(  # noqa: SLF001 - its documented name
                exported, package_path=str(partial), inductor_configs=INDUCTOR
            )
        partial.replace(artefact)
    loaded = torch._inductor.aoti_load_package(str(artefact))  # noqa: SLF001 - as above
    weights, wanted = step.state_dict(), set(loaded.get_constant_fqns())
    own = {name: weights[name] for name in wanted & weights.keys()}
    loaded.load_constants(own, check_full_update=False, user_managed=True)
    run: Step = loaded
    return run


def captured(step: Step, work: Board) -> Step:
    """The pass, recorded as a CUDA graph."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        for _ in range(3):
            step(work)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        left = step(work)

    def replay(_: Board) -> Tensor:
        graph.replay()
        return left

    return replay
