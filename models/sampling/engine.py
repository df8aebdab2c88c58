"""A network ready to sample slices: a workspace and the backend that computes on it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from torch import Tensor

from models.sampling.backends.backend import BackendFactory
from models.sampling.board import Given, bands
from models.sampling.workspace import Workspace


class Engine:
    """Samples as many slices of one network together as its board has rows. `passes` counts those of all calls."""

    def __init__(self, workspace: Workspace, backend: BackendFactory) -> None:
        self.workspace, self.backend = workspace, backend(workspace)
        self.seats = seats(workspace.rows, workspace.threads.count)
        self.passes = 0

    def draw(self, slices: Sequence[Given]) -> Tensor:
        """The symbols of each slice, (len(slices), N, C); V where logits were not numbers (see `gumbel_max`)."""
        board, raster, seats = self.workspace.board, self.workspace.raster, self.seats[: len(slices)]
        for row, given in zip(seats, slices, strict=True):
            board.place(row, given)
        self.passes += self.backend.finish(2 if any(given.free for given in slices) else 1)
        grid = board.values.view(self.workspace.rows, raster.slots, -1)[seats][:, raster.own[:-1]]
        return grid - board.conditioning.offset[:: board.lanes][seats]


def seats(rows: int, threads: int) -> list[int]:
    """Rows of a board in the order in which they are taken, so that all threads have as many (`Board.bands`)."""
    parts = [range(rows)[band] for band in bands(rows, threads)]
    return [row for turn in zip_longest(*parts) for row in turn if row is not None]
