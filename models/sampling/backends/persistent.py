"""Slices in one Triton kernel each, on CUDA: `models/sampling/persistent/`."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from models.config import Step
from models.decoder import SLICE_FORECASTS, Conditioning
from models.errors import ConfigError
from models.network import Network
from models.sampling.backends.graph import tf32
from models.sampling.noise import STAGES, slice_word
from models.sampling.persistent.kernel import gumbel_noise, sample_slices
from models.sampling.persistent.tensors import KEYS, TOKENS, Scratch, Slices, kernel_sizes
from models.sampling.persistent.weights import NARROWEST, Weights, padded
from models.sampling.workspace import Workspace

KNOWN_FORECASTS = 5
"""Forecasts from the slice itself that the kernel has: those of `models.decoder.NEIGHBOURS`, and their plane."""

WARPS = 8
"""Warps of a program: with four a thread keeps more than its 255 registers (benchmarks/kernel.py)."""

PIPELINE_STAGES = 2
"""Tiles of weights in shared memory at a time, of a loop over products: one in use, one on its way."""


class PersistentBackend:
    """Every slice of the board from its first pixel to its last in one launch; `Backend` for CUDA. Not yet run on a GPU.

    One token a row and position, as the cached sampler: no pixel is sampled twice. `bfloat16`: weights, keys and values
    are of bfloat16, sums of float32. Raises ConfigError for a network that it cannot run.
    """

    def __init__(self, workspace: Workspace, *, bfloat16: bool = True) -> None:
        self.workspace, network, raster = workspace, workspace.network, workspace.raster
        if not fits(network):
            raise ConfigError(
                f"expected float32 weights, heads of {NARROWEST}, 32, 64 ... numbers and {KNOWN_FORECASTS} forecasts from the "
                f"slice, got {network.decoder.widths} and {SLICE_FORECASTS}; use GraphBackend"
            )
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        decoder, board = network.decoder, workspace.board
        self._slices, self._weights = Slices.of(board), Weights.of(decoder, dtype)
        programs = triton.cdiv(workspace.rows * board.lanes, TOKENS)
        self._scratch = Scratch.of(decoder, raster, programs * TOKENS, dtype)
        self._tables = [table[:-1].to(torch.int32).contiguous() for table in (raster.own, raster.taps)]
        self._sizes, self._unit = kernel_sizes(workspace), 2 / ((1 << decoder.value_bits) - 1)
        self._products = str(dtype).removeprefix("torch.")

    @property
    def numerics(self) -> str:
        """A row is computed in the same order in any batch, so only products, tile and compiler are named."""
        return f"persistent/{self._products}/M-{TOKENS}/keys-{KEYS}/triton-{triton.__version__}/tf32-{tf32()}"

    def condition(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """Return what a slice is conditioned on; see `Backend.condition`."""
        return self.workspace.network.condition(coarse.long(), fine.long(), k, controls)

    def noise(self, seed: int, step: Step, candidate: int) -> Tensor:
        """Return the noise of a slice; see `Backend.noise`. The words are equal, logarithms may differ in the last bit."""
        positions, channels, symbols = self.workspace.noise_shape
        device = self.workspace.board.noise.device
        noise = torch.empty(self.workspace.noise_shape, dtype=torch.double, device=device)
        words = (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF, slice_word(step, candidate), STAGES[step.stage])
        size = padded(channels * -(-symbols // 4))
        gumbel_noise[(positions,)](noise, *words, C=channels, V=symbols, SIZE=size)
        return noise

    def finish(self, lanes: int) -> int:
        """Sample every slice; see `Backend.finish`. A pass is a position."""
        workspace = self.workspace
        sample_slices[(triton.cdiv(workspace.rows * lanes, TOKENS),)](
            self._slices,
            self._weights,
            self._scratch,
            *self._tables,
            workspace.rows,
            self._unit,
            LANES=lanes,
            **self._sizes,
            num_warps=WARPS,
            num_stages=PIPELINE_STAGES,
        )
        workspace.board.front.fill_(workspace.raster.positions)
        return workspace.raster.positions


def fits(network: Network) -> bool:
    """Return whether the kernel can run a network: float32 weights, heads of a power of two from 16, known forecasts."""
    widths, weight = network.decoder.widths, network.decoder.first.weight
    depth = widths.width // widths.heads
    return padded(depth) == depth and weight.dtype is torch.float32 and SLICE_FORECASTS == KNOWN_FORECASTS
