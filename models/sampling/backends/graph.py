"""Passes on a GPU: compiled by Inductor, captured as a CUDA graph, and replayed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from models.sampling.board import Board
from models.sampling.passes import Pass

GRAPH_PASSES = 8
"""Passes between two looks at a GPU: asking it for the state of the board costs more than a pass too many."""


def graph(step: Pass, board: Board) -> Callable[[int], int]:
    """The pass, compiled by Inductor and recorded once for each number of lanes, replayed until every row is finished."""
    compiled = torch.compile(step, fullgraph=True, dynamic=False)
    graphs = {lanes: recorded(partial(compiled, lanes=lanes), board) for lanes in range(1, board.lanes + 1)}

    def finish(lanes: int) -> int:
        replay, left = graphs[lanes]
        passes = 0
        while not passes or int(left):
            for _ in range(GRAPH_PASSES):
                replay()
            passes += GRAPH_PASSES
        return passes

    return finish


def recorded(step: Callable[[Board], Tensor], board: Board) -> tuple[Callable[[], None], Tensor]:
    """A pass as a CUDA graph: how to run it, and where its answer is afterwards."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        for _ in range(3):
            step(board)
    torch.cuda.current_stream().wait_stream(side)
    whole = torch.cuda.CUDAGraph()
    with torch.cuda.graph(whole):
        left = step(board)
    return whole.replay, left
