"""A network's share of sampling in C++ (`models/sampling/native/`), for CPUs."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache, partial
from queue import SimpleQueue
from typing import Final

import torch
from torch import Tensor

from models.config import Step
from models.decoder import Conditioning
from models.network import Network
from models.sampling.board import bands
from models.sampling.deal import SamplerName
from models.sampling.native import binding
from models.sampling.native.binding import NativeHelper, NativeObject
from models.sampling.native.packing import decoder_numbers, decoder_tensors, embedder_numbers, embedder_tensors
from models.sampling.row_filling import fill_rows
from models.sampling.slice_request import SliceRequest
from models.sampling.workspace import Workspace

NATIVE_TOKENS: Final = 4
"""Tokens of a pass: the fastest for one and for two images (docs/sampling.md)."""

CONTEXTS: Final = 64
"""Contexts that a backend keeps, (N, D) each. The slices of one kind share a context."""


class NativeBackend:
    """Embedder, noise and passes in C++. A `Backend` for CPUs.

    Each thread works on some of the rows. While one of them has no rows, a helper works for another one (docs/decisions/033).

    Products are of bfloat16 with float32 sums, as in training, if the library was compiled so and the CPU has them. A pass
    has a fixed number of tokens, or one for each row if that is more.
    """

    def __init__(self, workspace: Workspace, library: ctypes.CDLL) -> None:
        self.workspace, self._library = workspace, library
        self._layout, network = binding.layout(library), workspace.network
        numbers, tensors = embedder_numbers(network), embedder_tensors(network, self._layout)
        helper = NativeHelper(library, workspace.threads.count)
        self._context = lru_cache(CONTEXTS)(partial(context_of, network))
        self._embedders: SimpleQueue[NativeObject] = SimpleQueue()
        for _ in range(workspace.threads.count):
            self._embedders.put(NativeObject(library, "embedder", numbers, tensors, helper))
        count, board = workspace.threads.count, workspace.board
        self._decoders = [
            NativeObject(
                library,
                "decoder",
                decoder_numbers(network.decoder, part),
                decoder_tensors(network.decoder, part, workspace.raster, self._layout),
                helper,
            )
            for part in board.bands(count)
        ]
        self._bands = [range(band.start, band.stop) for band in bands(workspace.rows, count)]
        self._busy: list[NativeObject] = []

    @property
    def numerics(self) -> str:
        """A row is computed in the same order in any batch, so only the products are named."""
        return f"native/{str(self._layout.dtype).removeprefix('torch.')}"

    def fill(self, rows: Sequence[int], requests: Sequence[SliceRequest]) -> None:
        """Start slices, one image after the other; see `Backend.fill`."""
        fill_rows(self, rows, requests)
        pairs = zip(self._decoders, self._bands, strict=True)
        self._busy = [decoder for decoder, band in pairs if any(row in band for row in rows)]

    def condition(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """Return what a slice is conditioned on; see `RowSource.condition`."""
        network, at = self.workspace.network, int(k)
        context = self._context(network.geometry.kinds[at], tuple(controls[0].tolist()))
        embedder = self._embedders.get()
        try:
            return binding.run_embedder(embedder, network.decoder, known=(coarse, fine), k=at, context=context)
        finally:
            self._embedders.put(embedder)

    def noise(self, seed: int, step: Step, candidate: int) -> Tensor:
        """Return the noise of a slice; see `RowSource.noise`."""
        return binding.gumbel(self._library, seed, step, self.workspace.noise_shape, candidate)

    def finish(self, lanes: int) -> int:  # noqa: ARG002 - guidance on the board says which rows have two
        """Run passes until every row is final; see `Backend.finish`. Passes of all threads are added.

        Only threads with rows work: an image alone is sampled in this one.
        """
        return sum(self.workspace.threads.map(self._finish, self._busy))

    def _finish(self, decoder: NativeObject) -> int:
        tokens = NATIVE_TOKENS if self.workspace.sampler is SamplerName.PARALLEL else 0
        return binding.run_decoder(decoder, tokens)


def context_of(network: Network, kind: int, controls: tuple[int, ...]) -> Tensor:
    """Return `Embedder.context`, (1, N, D): it is the same for all slices of a kind."""
    k = network.geometry.kinds.index(kind)
    return network.embedder.context(torch.tensor([k]), torch.tensor([controls])).contiguous()
