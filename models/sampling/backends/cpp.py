"""A network's share of sampling in C++ (`models/sampling/native/`), for CPUs."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from queue import SimpleQueue

import torch
from torch import Tensor

from models.config import Step
from models.decoder import Conditioning
from models.sampling.deal import SamplerName
from models.sampling.native import binding
from models.sampling.native.binding import NativeObject
from models.sampling.native.packing import decoder_numbers, decoder_tensors, embedder_numbers, embedder_tensors
from models.sampling.row_filling import fill_rows
from models.sampling.slice_request import SliceRequest
from models.sampling.workspace import Workspace

NATIVE_TOKENS = {torch.bfloat16: 4, torch.float32: 2}
"""Tokens of a pass, by the dtype of its products: the fastest for one and for two images (docs/sampling.md).

Time grows with tokens, faster where products are slow.
"""


class NativeBackend:
    """Embedder, noise and passes in C++; each thread works on some of the rows. A `Backend` for CPUs.

    Products are of bfloat16 with float32 sums, as in training, if the library was compiled so and the CPU has them. A pass
    has a fixed number of tokens, or one for each row if that is more.
    """

    def __init__(self, workspace: Workspace, library: ctypes.CDLL) -> None:
        self.workspace, self._library = workspace, library
        self._layout, network = binding.layout(library), workspace.network
        numbers, tensors = embedder_numbers(network), embedder_tensors(network, self._layout)
        self._embedders: SimpleQueue[NativeObject] = SimpleQueue()
        for _ in range(workspace.threads.count):
            self._embedders.put(NativeObject(library, "embedder", numbers, tensors))
        self._decoders = [
            NativeObject(
                library,
                "decoder",
                decoder_numbers(network.decoder, band),
                decoder_tensors(network.decoder, band, workspace.raster, self._layout),
            )
            for band in workspace.board.bands(workspace.threads.count)
        ]

    @property
    def numerics(self) -> str:
        """A row is computed in the same order in any batch, so only the products are named."""
        return f"native/{str(self._layout.dtype).removeprefix('torch.')}"

    def fill(self, rows: Sequence[int], requests: Sequence[SliceRequest]) -> None:
        """Start slices, one image after the other; see `Backend.fill`."""
        fill_rows(self, rows, requests)

    def condition(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """Return what a slice is conditioned on; see `RowSource.condition`."""
        network = self.workspace.network
        context = network.embedder.context(k, controls)
        embedder = self._embedders.get()
        try:
            return binding.run_embedder(embedder, network.decoder, known=(coarse, fine), k=int(k), context=context)
        finally:
            self._embedders.put(embedder)

    def noise(self, seed: int, step: Step, candidate: int) -> Tensor:
        """Return the noise of a slice; see `RowSource.noise`."""
        return binding.gumbel(self._library, seed, step, self.workspace.noise_shape, candidate)

    def finish(self, lanes: int) -> int:  # noqa: ARG002 - guidance on the board says which rows have two
        """Run passes until every row is final; see `Backend.finish`. Passes of all threads are added."""
        return sum(self.workspace.threads.map(self._finish, self._decoders))

    def _finish(self, decoder: NativeObject) -> int:
        tokens = NATIVE_TOKENS[self._layout.dtype] if self.workspace.sampler is SamplerName.PARALLEL else 0
        return binding.run_decoder(decoder, tokens)
