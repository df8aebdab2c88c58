"""Start of slices on a GPU: all rows of a board in one call of one shape, from one copy of what the host knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Self

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from models.network import Network
from models.sampling.board import Board
from models.sampling.noise import gumbel_of, noise_words
from models.sampling.slice_request import SliceRequest
from models.sampling.workspace import Workspace

WORDS, STARTS = 6, 1
"""Numbers of a row beside its controls: slice k, whether a slice starts (at place STARTS), the four `noise_words`."""

Capture = Callable[..., tuple[Callable[[], object], Tensor]]
"""Makes a callable without arguments of a module, a board and arguments by name; also returns the tensor of its result."""


class RoundInputs(NamedTuple):
    """What the host knows of a round, a row for each of the board. All tensors are views of one memory.

    - words (R, WORDS) int64; scales (R, 2) float64: temperature and guidance
    - controls (R, lanes, n_controls) int64
    - slices (R, 2K * h, w, C) uint8: the finished slices in sampling order; later ones may hold anything
    """

    words: Tensor
    scales: Tensor
    controls: Tensor
    slices: Tensor

    @classmethod
    def sizes(cls, workspace: Workspace) -> list[int]:
        """Return the bytes of a row of each tensor, and those that align the next row."""
        geometry, controls = workspace.network.geometry, len(workspace.network.embedder.controls)
        sizes = [8 * WORDS, 8 * 2, 8 * workspace.board.lanes * controls, 2 * geometry.dimensions]
        return [*sizes, -sum(sizes) % 8]

    @classmethod
    def of(cls, memory: Tensor, workspace: Workspace) -> Self:
        """Return the views of a memory, (R, sum of `sizes`) uint8."""
        geometry, controls = workspace.network.geometry, len(workspace.network.embedder.controls)
        height, width, channels = geometry.slice_shape
        words, scales, indices, slices, _ = torch.split(memory, cls.sizes(workspace), 1)
        return cls(
            words=words.view(torch.int64),
            scales=scales.view(torch.float64),
            controls=indices.view(torch.int64).view(-1, workspace.board.lanes, controls),
            slices=slices.view(-1, 2 * geometry.slices * height, width, channels),
        )


class Filling(nn.Module):
    """Starts slices in the rows of a board. A row that starts none becomes final, with any numbers.

    It needs nothing from the host and has one shape, so it can be compiled and captured once, like a `Pass`. Every lane is
    conditioned, whether it is in use or not: so a row's result does not depend on the others.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, board: Board, inputs: RoundInputs) -> Tensor:
        """Write conditioning, noise, temperature and guidance of all rows; return the positions that each lacks, (R,)."""
        k, starts, *_ = inputs.words.unbind(1)
        coarse, fine = (each.repeat_interleave(board.lanes, 0) for each in self._images(inputs.slices))
        conditioning = self.network.condition(
            coarse, fine, k.repeat_interleave(board.lanes), inputs.controls.flatten(0, 1)
        )
        for kept, new in zip(board.conditioning, conditioning, strict=True):
            kept.copy_(new)
        _, positions, channels, symbols = board.noise.shape
        board.noise.copy_(gumbel_of(inputs.words[:, 2:], (positions, channels, symbols)))
        for scale, given in zip((board.temperature, board.guidance), inputs.scales.unbind(1), strict=True):
            scale.copy_(given)
        board.front.copy_((1 - starts) * positions)
        board.seen.copy_(board.front)
        board.pace.fill_(1)
        return positions - board.front

    def _images(self, slices: Tensor) -> Tensor:
        """Return coarse and fine values, (2, R, H, W, C) int64, of slices in sampling order."""
        geometry, ranks = self.network.geometry, self.network.ranks
        by_k = rearrange(slices, "r (two k h) w c -> two r k h w c", two=2, h=geometry.slice_size)[:, :, ranks]
        return rearrange(by_k, "two r (s t) h w c -> two r (h s) (w t) c", s=geometry.subscale).long()


def uncaptured(module: nn.Module, board: Board, **arguments: object) -> tuple[Callable[[], object], Tensor]:
    """Return a call as it is, on any device."""
    return partial(module, board, **arguments), board.front


class BatchFilling:
    """Fills a board by `Filling`. What the host knows goes to the device in one copy, from page-locked memory if that is CUDA.

    The copy is over before the next one starts, because the symbols of each round are read in between.
    """

    def __init__(self, workspace: Workspace, capture: Capture) -> None:
        device = workspace.board.front.device
        shape = (workspace.rows, sum(RoundInputs.sizes(workspace)))
        self._host = torch.zeros(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
        known = RoundInputs.of(self._host, workspace)
        known.scales.fill_(1)  # nothing is divided by zero, not even in idle rows
        self._known = [part.numpy() for part in known]
        self._device = self._host.to(device, copy=True)
        filling, inputs = Filling(workspace.network).eval(), RoundInputs.of(self._device, workspace)
        self._start, _ = capture(filling, workspace.board, inputs=inputs)

    def __call__(self, rows: Sequence[int], requests: Sequence[SliceRequest]) -> None:
        """Start a slice in each of `rows`; see `Backend.fill`."""
        words, scales, controls, slices = self._known
        words[:, STARTS] = 0
        for row, request in zip(rows, requests, strict=True):
            noise = noise_words(request.seed, request.step, request.candidate)
            words[row] = (request.step.slice, 1, *noise)
            scales[row] = request.temperature, request.guidance
            controls[row] = (request.controls, request.unconditional or request.controls)[: len(controls[row])]
            if finished := request.progress.slices:
                np.concatenate(finished, out=slices[row, : sum(map(len, finished))])
        self._device.copy_(self._host, non_blocking=True)
        self._start()
