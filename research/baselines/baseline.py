"""A baseline: trunk, controls and head, with the exact likelihood of whole pictures, trained by the same trainer."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import Control, Geometry, Stage
from models.layers import Table
from research.baselines.causal_context import CausalContext, LocalContext, WholeImageContext
from research.baselines.softmax_head import FORECASTS, Softmaxes
from research.baselines.trunk import Trunk


class Baseline(nn.Module):
    """p(picture | controls), pixel by pixel in raster order. To trainer and evaluation it is a base network of one slice.

    `bits`: how many of a sub-pixel's bits it models, the most significant. The trunk must expect as many, and conditions
    of `asked` numbers.
    """

    stage = Stage.BASE

    def __init__(  # noqa: PLR0913 - its parts
        self,
        trunk: Trunk,
        geometry: Geometry,
        controls: tuple[Control, ...],
        *,
        bits: int,
        asked: int,
        hidden: int,
        kernels: bool = False,
    ) -> None:
        super().__init__()
        self.geometry, self.bits, self.asked = geometry, bits, asked
        self.controls = nn.ModuleList(Table(len(c.values) + 1, asked) for c in controls)
        self.trunk = trunk
        self.head = Softmaxes(
            channels=geometry.channels, symbols=1 << bits, width=trunk.width, hidden=hidden, kernels=kernels
        )

    def condition(self, controls: Tensor) -> Tensor:
        """(B, n_controls) int64 -> (B, E)."""
        asked = controls.new_zeros(len(controls), self.asked, dtype=self.head.norm.weight.dtype)
        out: Tensor = asked + sum(table(controls[:, i]) for i, table in enumerate(self.controls))
        return out

    def logits(self, values: Tensor, controls: Tensor) -> Tensor:
        """Teacher-forced: (B, H, W, C) -> (B, H, W, C, V), each from the sub-pixels before it alone."""
        past = WholeImageContext(values)
        hiddens, near = self.hiddens(self.condition(controls)[:, None, None], past), self.near(past)
        logits = []
        for c in range(values.shape[-1]):
            logits.append(self.head.logits(hiddens[c], c, near))
            self.head.tell(hiddens, c, values[..., c])
        return torch.stack(logits, -2)

    def hiddens(self, condition: Tensor, past: CausalContext) -> list[Tensor]:
        """One pre-activation per channel."""
        return self.head.hiddens(self.trunk(condition, past))

    def near(self, past: LocalContext) -> Tensor:
        """What forecasts are made of: (..., 3, C)."""
        return past.values(FORECASTS)

    def forward(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Tensor:  # noqa: ARG002 - one slice
        """Nats of each sub-pixel, (B, N, C), at least float32; the arguments of `models.network.Network`."""
        values = ((coarse << self.geometry.fine_bits) | fine) >> (self.geometry.bits - self.bits)
        logits = self.logits(values, controls)
        logits = logits if logits.dtype is torch.float64 else logits.float()
        nats = F.cross_entropy(rearrange(logits, "b h w c v -> b v h w c"), values, reduction="none")
        return rearrange(nats, "b h w c -> b (h w) c")
