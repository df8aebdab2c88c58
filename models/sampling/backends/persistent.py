"""Slices in one Triton kernel each, on CUDA: `models/sampling/persistent/`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton

from models.decoder import SLICE_FORECASTS
from models.errors import ConfigError
from models.network import Network
from models.sampling.backends.graph import captured, compiler_numerics
from models.sampling.batch_filling import BatchFilling, Capture
from models.sampling.deal import SamplerName
from models.sampling.persistent.kernel import sample_slices
from models.sampling.persistent.tensors import KEYS, TOKENS, Scratch, Slices, kernel_sizes
from models.sampling.persistent.weights import NARROWEST, Weights, padded
from models.sampling.slice_request import SliceRequest
from models.sampling.workspace import Workspace

KNOWN_FORECASTS = 5
"""Forecasts from the slice itself that the kernel has: those of `models.decoder.NEIGHBOURS`, and their plane."""

WARPS = 8
"""Warps of a program: with four a thread keeps more than its 255 registers (benchmarks/kernel.py)."""

PIPELINE_STAGES = 2
"""Tiles of weights in shared memory at a time, of a loop over products: one in use, one on its way."""


class PersistentBackend:
    """Every slice of the board from its first pixel to its last in one launch; `Backend` for CUDA. Not yet run on a GPU.

    Up to `programs` rows, a program samples one row in windows. For more rows, and as the cached sampler, it samples TOKENS
    lanes, each pixel once. Both give the same pixels. `programs`: as many as run at a time; None: the GPU's multiprocessors.

    `bfloat16`: weights, keys and values are of bfloat16, sums of float32. `capture`: how fillings run; `uncaptured` in
    Triton's interpreter, which has no GPU. Raises ConfigError for a network that it cannot run.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        bfloat16: bool = True,
        capture: Capture = captured,
        programs: int | None = None,
    ) -> None:
        self.workspace, network, raster = workspace, workspace.network, workspace.raster
        if not fits(network):
            raise ConfigError(
                f"expected float32 weights, heads of {NARROWEST}, 32, 64 ... numbers and {KNOWN_FORECASTS} forecasts from the "
                f"slice, got {network.decoder.widths} and {SLICE_FORECASTS}; use GraphBackend"
            )
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        decoder, board = network.decoder, workspace.board
        self._slices, self._weights = Slices.of(board), Weights.of(decoder, dtype)
        lanes = triton.cdiv(workspace.rows * board.lanes, TOKENS) * TOKENS
        self._scratch = Scratch.of(
            decoder, raster, lanes=lanes, programs=max(lanes // TOKENS, workspace.rows), dtype=dtype
        )
        self._programs = multiprocessors(board.front.device) if programs is None else programs
        self._tables = [table.to(torch.int32).contiguous() for table in (raster.own, raster.taps)]
        self._sizes, self._unit = kernel_sizes(workspace), 2 / ((1 << decoder.value_bits) - 1)
        self._filling = BatchFilling(workspace, capture)
        self._products, self._used = str(dtype).removeprefix("torch."), 0

    @property
    def numerics(self) -> str:
        """Products, tile and compilers, and the rows that are filled together: a slice itself is the same in any batch."""
        tile = f"M-{TOKENS}/keys-{KEYS}/triton-{triton.__version__}"
        return f"persistent/{self._products}/{tile}/filled-{self.workspace.rows}/{compiler_numerics()}"

    def fill(self, rows: Sequence[int], requests: Sequence[SliceRequest]) -> None:
        """Start slices, all in one call; see `Backend.fill`."""
        self._filling(rows, requests)
        self._used = max(rows) + 1

    def finish(self, lanes: int) -> int:
        """Sample every slice; see `Backend.finish`. Passes are those of the program that made most."""
        front, alone = self.workspace.board.front, self._used <= self._programs
        window = TOKENS // lanes if alone and self.workspace.sampler is SamplerName.PARALLEL else 1
        programs: int = triton.cdiv(self._used * lanes * window, TOKENS)
        with torch.cuda.device_of(front):  # type: ignore[no-untyped-call] # Triton launches on the current device
            sample_slices[(programs,)](
                self._slices,
                self._weights,
                self._scratch,
                *self._tables,
                self._used,
                self._unit,
                LANES=lanes,
                WINDOW=window,
                **self._sizes,
                num_warps=WARPS,
                num_stages=PIPELINE_STAGES,
            )
        front.fill_(self.workspace.raster.positions)
        return int(self._scratch.passes[:programs].max())


def multiprocessors(device: torch.device) -> int:
    """Return how many programs a GPU runs at a time."""
    return torch.cuda.get_device_properties(device).multi_processor_count


def fits(network: Network) -> bool:
    """Return whether the kernel can run a network: float32 weights, heads of a power of two from 16, known forecasts."""
    widths, weight = network.decoder.widths, network.decoder.first.weight
    depth = widths.width // widths.heads
    return padded(depth) == depth and weight.dtype is torch.float32 and SLICE_FORECASTS == KNOWN_FORECASTS
