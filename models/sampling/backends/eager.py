"""Passes one by one in torch, on any device."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from models.config import Step
from models.decoder import Conditioning, Decoder
from models.sampling.deal import DEALS
from models.sampling.noise import gumbel
from models.sampling.passes import Pass
from models.sampling.row_filling import fill_rows
from models.sampling.slice_request import SliceRequest
from models.sampling.workspace import Workspace


class EagerBackend:
    """The modules of torch as they are: for tests, and where nothing faster runs. A `Backend`.

    `decoder`: runs the passes instead of that of the network.
    """

    def __init__(self, workspace: Workspace, decoder: Decoder | None = None) -> None:
        self.workspace, self.board = workspace, workspace.board
        decoder, deal = decoder or workspace.network.decoder, DEALS[workspace.sampler]
        self.step = Pass(decoder, workspace.raster, deal, tokens=workspace.rows).eval()

    @property
    def numerics(self) -> str:
        """The kernels of torch may depend on M."""
        return f"eager/M-{self.workspace.rows}"

    def fill(self, rows: Sequence[int], requests: Sequence[SliceRequest]) -> None:
        """Start slices, one image after the other; see `Backend.fill`."""
        fill_rows(self, rows, requests)

    def condition(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """Return what a slice is conditioned on; see `RowSource.condition`."""
        return self.workspace.network.condition(coarse.long(), fine.long(), k, controls)

    def noise(self, seed: int, step: Step, candidate: int) -> Tensor:
        """Return the noise of a slice; see `RowSource.noise`."""
        return gumbel(seed, step, self.workspace.noise_shape, candidate)

    def finish(self, lanes: int) -> int:
        """Run passes until every row is final; see `Backend.finish`."""
        passes = 1
        while int(self.step(self.board, lanes)):
            passes += 1
        return passes
