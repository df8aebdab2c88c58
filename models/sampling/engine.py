"""A network ready to draw slices, and the board it works on.

Passes run in C++ on a CPU, as a captured graph on a GPU, or one by one in torch: same pixels up to rounding, many times slower.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path

import torch
from torch import Tensor

from models.config import Step
from models.decoder import Conditioning
from models.errors import NoCompilerError
from models.network import Network
from models.sampling import cached, parallel
from models.sampling.backends.graph import graph
from models.sampling.board import Board, Given, bands
from models.sampling.native import binding
from models.sampling.threads import Threads
from models.sampling.noise import gumbel
from models.sampling.passes import Pass

logger = logging.getLogger(__name__)

NATIVE_TOKENS = {torch.bfloat16: 8, torch.float32: 2}
"""Tokens of a pass in C++ by what it multiplies. Time goes with tokens, the more the slower products are: measured best for one
and two pictures (docs/sampling.md).
"""


class Sampler(StrEnum):
    """How a slice is drawn; both give the same pictures (docs/architecture.md, Samplers)."""

    PARALLEL = "parallel"
    CACHED = "cached"


DEALS = {Sampler.PARALLEL: parallel.deal, Sampler.CACHED: cached.deal}


class Engine:
    """Draws up to `rows` slices of one network together, on a CPU by as many threads as are given; `guided` if some may be.

    `condition` is the network's for uint8 pictures, `noise` that of a slice by seed, step and candidate, `finish` runs passes
    of so many lanes until every row of the board is drawn and returns how many, `numerics` names how they compute.
    """

    def __init__(
        self, network: Network, sampler: Sampler, *, rows: int, threads: Threads | None = None, guided: bool = False
    ) -> None:
        self.network, self.sampler, self.threads = network, sampler, threads or Threads()
        self.step = Pass(network.decoder, DEALS[sampler], tokens=rows).eval()
        self.board = Board.empty(network.decoder, self.step.raster, rows, lanes=2 if guided else 1)
        self.condition: Callable[[Tensor, Tensor, Tensor, Tensor], Conditioning] = self._by_torch
        self._noise_shape = (self.step.raster.positions, network.decoder.head.channels, network.decoder.symbols)
        self.noise: Callable[[int, Step, int], Tensor] = self._noise_by_torch
        self.finish: Callable[[int], int] = self._by_passes
        self.numerics = f"eager/M-{rows}"
        self.seats = seats(rows, self.threads.count)
        self.passes = 0

    def compile(self, folder: Path, *, bfloat16: bool) -> None:
        """Draw by C++ code kept in `folder`, with products of bfloat16 if asked and possible; on a GPU by a captured graph.

        On a CPU a network that the code does not fit (`binding.fits`), or a machine without a compiler, stays as it is.
        """
        if self.board.front.device.type == "cuda":
            self.finish = graph(self.step, self.board)
            self.numerics = f"graph/M-{self.step.tokens}"
        elif binding.fits(self.network):
            try:
                self._go_native(binding.library(folder, bfloat16=bfloat16))
            except NoCompilerError as error:
                logger.warning("%s networks are drawn in torch, many times slower: %s", self.network.stage, error)

    def _go_native(self, library: ctypes.CDLL) -> None:
        products = binding.layout(library).dtype
        budget = NATIVE_TOKENS[products] if self.sampler is Sampler.PARALLEL else 0
        decoder, threads = self.network.decoder, self.threads
        self.condition = binding.NativeCondition(library, self.network, threads)
        self.noise = lambda seed, step, candidate: binding.gumbel(library, seed, step, self._noise_shape, candidate)
        self.finish = binding.NativePasses(library, decoder, self.board, threads, budget=budget)
        self.numerics = f"native/{str(products).removeprefix('torch.')}"

    def draw(self, slices: Sequence[Given]) -> Tensor:
        """The symbols of each slice, (len(slices), N, C); V where logits were not numbers (see `gumbel_max`)."""
        seats = self.seats[: len(slices)]
        for row, given in zip(seats, slices, strict=True):
            self.board.place(row, given)
        self.passes += self.finish(2 if any(given.free for given in slices) else 1)
        rows, raster = len(self.board.front), self.step.raster
        grid = self.board.values.view(rows, raster.slots, -1)[seats][:, raster.own[:-1]]
        return grid - self.board.conditioning.offset[:: self.board.lanes][seats]

    def _by_torch(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        return self.network.condition(coarse.long(), fine.long(), k, controls)

    def _noise_by_torch(self, seed: int, step: Step, candidate: int) -> Tensor:
        return gumbel(seed, step, self._noise_shape, candidate)

    def _by_passes(self, lanes: int) -> int:
        passes = 1
        while int(self.step(self.board, lanes)):
            passes += 1
        return passes


def seats(rows: int, threads: int) -> list[int]:
    """Rows of a board in the order in which they are taken, so that all threads have as many (`Board.bands`)."""
    parts = [range(rows)[band] for band in bands(rows, threads)]
    return [row for turn in zip_longest(*parts) for row in turn if row is not None]
