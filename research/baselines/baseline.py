"""A baseline: trunk, controls and head, with the exact likelihood of whole images, trained by the same trainer."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import Control, Geometry, Stage
from models.decoder import NEIGHBOURS
from models.layers import Table
from research.baselines.causal_context import CausalContext, LocalContext, WholeImageContext
from research.baselines.softmax_head import Softmaxes
from research.baselines.trunk import Trunk


class Baseline(nn.Module):
    """p(image | controls), pixel by pixel in raster order. Trainer and evaluation use it as a base network with one slice.

    `bits`: the number of most significant bits of a sub-pixel that it models. The trunk must expect the same number of bits,
    and conditions of `condition_width` numbers.
    """

    stage = Stage.BASE

    def __init__(  # noqa: PLR0913 - its parts
        self,
        trunk: Trunk,
        geometry: Geometry,
        controls: tuple[Control, ...],
        *,
        bits: int,
        condition_width: int,
        hidden: int,
        kernels: bool = False,
    ) -> None:
        super().__init__()
        self.geometry, self.bits, self.condition_width = geometry, bits, condition_width
        self.controls = nn.ModuleList(Table(len(c.values) + 1, condition_width) for c in controls)
        self.trunk = trunk
        self.head = Softmaxes(
            channels=geometry.channels, symbols=1 << bits, width=trunk.width, hidden=hidden, kernels=kernels
        )

    def condition(self, controls: Tensor) -> Tensor:
        """Embed controls: (B, n_controls) int64 -> (B, E)."""
        start = controls.new_zeros(len(controls), self.condition_width, dtype=self.head.norm.weight.dtype)
        out: Tensor = start + sum(table(controls[:, i]) for i, table in enumerate(self.controls))
        return out

    def logits(self, values: Tensor, controls: Tensor) -> Tensor:
        """Return teacher-forced logits: (B, H, W, C) -> (B, H, W, C, V), each from the sub-pixels before it alone."""
        context = WholeImageContext(values)
        hiddens, neighbours = self.hiddens(self.condition(controls)[:, None, None], context), self.neighbours(context)
        logits = []
        for c in range(values.shape[-1]):
            logits.append(self.head.logits(hiddens[c], c, neighbours))
            self.head.add_symbol(hiddens, c, values[..., c])
        return torch.stack(logits, -2)

    def hiddens(self, condition: Tensor, context: CausalContext) -> list[Tensor]:
        """Return one pre-activation per channel."""
        return self.head.hiddens(self.trunk(condition, context))

    def neighbours(self, context: LocalContext) -> Tensor:
        """Return the values that forecasts are made of: (..., 3, C)."""
        return context.values(NEIGHBOURS)

    def forward(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Tensor:  # noqa: ARG002 - one slice
        """Return the nats of each sub-pixel, (B, N, C), at least float32, with the arguments of `models.network.Network`."""
        values = ((coarse << self.geometry.fine_bits) | fine) >> (self.geometry.bits - self.bits)
        logits = self.logits(values, controls)
        logits = logits if logits.dtype is torch.float64 else logits.float()
        nats = F.cross_entropy(rearrange(logits, "b h w c v -> b v h w c"), values, reduction="none")
        return rearrange(nats, "b h w c -> b (h w) c")
