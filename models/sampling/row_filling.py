"""Start of slices row by row, for a CPU: each image is conditioned alone, as a convolution may round otherwise in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Protocol

import torch
from torch import Tensor

from models.config import Step
from models.decoder import Conditioning
from models.sampling.slice_request import SliceRequest
from models.sampling.workspace import Workspace


class RowSource(Protocol):
    """What computes the inputs of one slice. Threads may call it together."""

    workspace: Workspace

    def condition(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """Return `Network.condition` of one image.

        `coarse`, `fine`: (1, H, W, C) uint8; `k`: (1,) int64; `controls`: (1, n_controls) int64.
        """

    def noise(self, seed: int, step: Step, candidate: int) -> Tensor:
        """Return the Gumbel noise of a slice, (N, C, V) float64: `models.sampling.noise.gumbel`, bit for bit."""


def fill_rows(source: RowSource, rows: Sequence[int], requests: Sequence[SliceRequest]) -> None:
    """Start a slice in each of `rows`, in the threads of the workspace. Candidates of an image are conditioned once."""
    pairs = zip(rows, requests, strict=True)
    images = [list(image) for _, image in groupby(pairs, lambda pair: pair[1].conditioned_on)]
    source.workspace.threads.map(partial(_fill_image, source), images)


@torch.inference_mode()
def _fill_image(source: RowSource, candidates: Sequence[tuple[int, SliceRequest]]) -> None:
    """Start the slices of one image in their rows."""
    sides = conditionings(source, candidates[0][1])
    for row, request in candidates:
        noise = source.noise(request.seed, request.step, request.candidate)
        source.workspace.board.place(row, sides, noise, temperature=request.temperature, guidance=request.guidance)


def conditionings(source: RowSource, request: SliceRequest) -> list[Conditioning]:
    """Return the conditioning of each lane of a slice, (1, N, ...) each: one, or two with guidance."""
    device = source.workspace.board.front.device
    coarse, fine = (torch.from_numpy(part)[None].to(device) for part in request.progress.values)
    k, sides = torch.tensor([request.step.slice], device=device), (request.controls, request.unconditional)
    indices = (torch.tensor([side], dtype=torch.long, device=device) for side in sides if side is not None)
    return [source.condition(coarse, fine, k, controls) for controls in indices]
