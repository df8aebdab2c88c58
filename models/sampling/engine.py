"""A network ready to sample slices: a workspace and the backend that computes on it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import torch

from models.sampling.backends.backend import BackendFactory
from models.sampling.board import bands
from models.sampling.slice_request import SliceRequest
from models.sampling.workspace import Workspace
from models.subscale import Bytes


class Engine:
    """Samples as many slices of one network together as its board has rows. `passes` counts those of all calls."""

    def __init__(self, workspace: Workspace, backend: BackendFactory) -> None:
        self.workspace, self.backend = workspace, backend(workspace)
        self.row_order = row_order(workspace.rows, workspace.threads.count)
        self.passes = 0

    def sample(self, requests: Sequence[SliceRequest]) -> Bytes:
        """Return the symbols of each slice, (n, h, w, C); V where a logit is NaN (see `gumbel_max`)."""
        board, raster, rows = self.workspace.board, self.workspace.raster, self.row_order[: len(requests)]
        self.backend.fill(rows, requests)
        guided = any(request.unconditional is not None for request in requests)
        self.passes += self.backend.finish(2 if guided else 1)
        used = slice(max(rows) + 1)
        values, offset = raster.slices(board.values)[used], board.conditioning.offset[:: board.lanes][used]
        symbols: Bytes = (values - offset.view_as(values)).to(torch.uint8).cpu().numpy()[rows]
        return symbols


def row_order(rows: int, threads: int) -> list[int]:
    """Return the order in which rows of a board are used, so that all threads have equally many (`Board.bands`)."""
    parts = [range(rows)[band] for band in bands(rows, threads)]
    return [row for turn in zip_longest(*parts) for row in turn if row is not None]
