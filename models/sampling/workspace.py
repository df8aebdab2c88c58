"""What an engine shares with its backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from models.network import Network
from models.sampling.board import Board, Raster
from models.sampling.deal import SamplerName
from models.sampling.noise import Shape
from models.sampling.threads import Threads


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One network, the board of its rows, and how to sample them. The threads are for backends on a CPU."""

    network: Network
    raster: Raster
    board: Board
    sampler: SamplerName = SamplerName.PARALLEL
    threads: Threads = field(default_factory=Threads)

    @classmethod
    def of(
        cls,
        network: Network,
        *,
        rows: int,
        guided: bool = False,
        sampler: SamplerName = SamplerName.PARALLEL,
        threads: Threads | None = None,
    ) -> Self:
        """Return a workspace with an empty board of `rows` rows. Only with `guided` may a row have guidance."""
        decoder = network.decoder
        raster = Raster(decoder.slice_size, decoder.widths.reach, decoder.first.weight.device)
        board = Board.empty(decoder, raster, rows, lanes=2 if guided else 1)
        return cls(network=network, raster=raster, board=board, sampler=sampler, threads=threads or Threads())

    @property
    def rows(self) -> int:
        """R: rows of the board."""
        return len(self.board.front)

    @property
    def noise_shape(self) -> Shape:
        """(N, C, V) of the noise of a slice."""
        head = self.network.decoder.head
        return (self.raster.positions, head.channels, head.symbols)
