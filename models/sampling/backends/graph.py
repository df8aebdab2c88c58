"""Passes on a GPU: compiled by Inductor, captured as a CUDA graph, and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn

from models.sampling.backends.bfloat16 import with_bfloat16_products
from models.sampling.backends.eager import EagerBackend
from models.sampling.batch_filling import BatchFilling
from models.sampling.board import Board
from models.sampling.slice_request import SliceRequest
from models.sampling.workspace import Workspace

GRAPH_PASSES = 8
"""Passes between two reads of the board's state: to read it costs more than a pass too many."""


OPTIONS: Final = {"deterministic": True, "batch_invariant": True, "shape_padding": False}
"""Inductor must not choose reductions or paddings by a stopwatch: two processes with one numerics id would differ."""


def known_options() -> dict[str, bool]:
    """Return those of `OPTIONS` that this release of torch has; older ones lack `batch_invariant`."""
    known = torch._inductor.list_options()  # noqa: SLF001 - its documented name
    return {name: on for name, on in OPTIONS.items() if name in known}


class GraphBackend(EagerBackend):
    """Fillings and passes of torch, captured once, passes for each number of lanes. A `Backend` for CUDA.

    `bfloat16`: products of a pass are of bfloat16 with float32 sums.
    """

    def __init__(self, workspace: Workspace, *, bfloat16: bool = False) -> None:
        decoder = workspace.network.decoder
        super().__init__(workspace, with_bfloat16_products(decoder) if bfloat16 else decoder)
        self._products = "bfloat16" if bfloat16 else str(decoder.first.weight.dtype).removeprefix("torch.")
        self._device = self.board.front.device
        self._filling = BatchFilling(workspace, captured)
        self._graphs = {lanes: captured(self.step, self.board, lanes=lanes) for lanes in range(1, self.board.lanes + 1)}

    @property
    def numerics(self) -> str:
        """Kernels depend on the dtype of products, M, the rows that are filled, and `compiler_numerics`."""
        rows = self.workspace.rows
        return f"graph/{self._products}/M-{rows}/filled-{rows}/{compiler_numerics()}"

    def fill(self, rows: Sequence[int], requests: Sequence[SliceRequest]) -> None:
        """Start slices, all in one call; see `Backend.fill`."""
        with torch.cuda.device(self._device):
            self._filling(rows, requests)

    def finish(self, lanes: int) -> int:
        """Replay passes until every row is final; see `Backend.finish`."""
        replay, left = self._graphs[lanes]
        passes = 0
        with torch.cuda.device(self._device):
            while not passes or int(left):
                for _ in range(GRAPH_PASSES):
                    replay()
                passes += GRAPH_PASSES
        return passes


def compiler_numerics() -> str:
    """Return the options of the compiler, and where TF32 replaces float32."""
    options = "+".join(name for name, on in known_options().items() if on)
    return f"{options}/tf32-{tf32()}"


def tf32() -> str:
    """Return where torch may replace float32 by TF32: in products, in convolutions, or `off`."""
    flags = {
        "products": torch.backends.cuda.matmul.allow_tf32,
        "convolutions": torch.backends.cudnn.allow_tf32,
    }
    return "+".join(name for name, allowed in flags.items() if allowed) or "off"


def captured(module: nn.Module, board: Board, **arguments: object) -> tuple[Callable[[], None], Tensor]:
    """Compile a call of `module` on a board and capture it on the board's device; see `recorded`."""
    compiled = torch.compile(module, fullgraph=True, dynamic=False, options={**known_options()})
    with torch.cuda.device(board.front.device):
        return recorded(partial(compiled, **arguments), board)


def recorded(step: Callable[[Board], Tensor], board: Board) -> tuple[Callable[[], None], Tensor]:
    """Capture a call as a CUDA graph on the current device; return how to run it, and the tensor of its result."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())  # the board may still be being filled there
    with torch.cuda.stream(side):
        for _ in range(3):
            step(board)
    torch.cuda.current_stream().wait_stream(side)
    whole = torch.cuda.CUDAGraph()
    with torch.cuda.graph(whole):
        left = step(board)
    return whole.replay, left
