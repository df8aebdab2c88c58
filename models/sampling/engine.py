"""A network ready to sample slices: a workspace and the backend that computes on it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from torch import Tensor

from models.sampling.backends.backend import BackendFactory
from models.sampling.board import SliceInputs, bands
from models.sampling.workspace import Workspace


class Engine:
    """Samples as many slices of one network together as its board has rows. `passes` counts those of all calls."""

    def __init__(self, workspace: Workspace, backend: BackendFactory) -> None:
        self.workspace, self.backend = workspace, backend(workspace)
        self.row_order = row_order(workspace.rows, workspace.threads.count)
        self.passes = 0

    def sample(self, slices: Sequence[SliceInputs]) -> Tensor:
        """Return the symbols of each slice, (len(slices), N, C); V where a logit is NaN (see `gumbel_max`)."""
        board, raster, row_order = self.workspace.board, self.workspace.raster, self.row_order[: len(slices)]
        for row, inputs in zip(row_order, slices, strict=True):
            board.place(row, inputs)
        self.passes += self.backend.finish(2 if any(inputs.unconditional for inputs in slices) else 1)
        grid = board.values.view(self.workspace.rows, raster.slots, -1)[row_order][:, raster.own[:-1]]
        return grid - board.conditioning.offset[:: board.lanes][row_order]


def row_order(rows: int, threads: int) -> list[int]:
    """Return the order in which rows of a board are used, so that all threads have equally many (`Board.bands`)."""
    parts = [range(rows)[band] for band in bands(rows, threads)]
    return [row for turn in zip_longest(*parts) for row in turn if row is not None]
