"""One of the three networks: slice embedder + masked decoder, and its exact likelihood of a slice."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import ModelConfig, Stage
from models.decoder import NEIGHBOURS, Conditioning, Decoder
from models.embedder import ABSENT, Embedder, by_slice, visible
from models.layers import WholeSlice


class Network(nn.Module):
    """p(slice k | what `stage` may see before it): base p(c_0), size p(c_k | c_<k), depth p(f_k | f_<k, c)."""

    def __init__(self, config: ModelConfig, stage: Stage) -> None:
        super().__init__()
        widths = config.widths[stage]
        self.stage, self.geometry = stage, config.geometry
        self.ranks = by_slice(config.geometry.ranks)
        self.embedder = Embedder(config.geometry, stage, config.controls, widths)
        self.decoder = Decoder(config.geometry, stage, widths)

    def condition(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """Return what a slice needs once. Images (B, H, W, C) int64, `k` (B,), controls (B, n_controls).

        What lies at or after slice k in this stage is hidden here; it may hold anything.
        """
        known = visible(coarse, fine, k, ranks=self.ranks, stage=self.stage, geometry=self.geometry)
        embedded = self.embedder(known, k, controls)
        return self.decoder.conditioning(embedded, known, k, self.geometry, self.stage)

    def target(self, coarse: Tensor, fine: Tensor, k: Tensor) -> Tensor:
        """Return the symbols of slice k: (B, N, C) int64."""
        s = self.geometry.subscale
        slices = rearrange(
            fine if self.stage is Stage.DEPTH else coarse, "b (h s) (w t) c -> b (s t) (h w) c", s=s, t=s
        )
        return slices[torch.arange(len(k), device=k.device), k]

    def logits(self, conditioning: Conditioning, symbols: Tensor, drift: Tensor | None = None) -> Tensor:
        """Return teacher-forced logits (B, N, C, V) of symbols (B, N, C); each depends on earlier symbols only.

        `drift`, (B, N, C), is added to the earlier pixels that a position sees, not to its own channels.
        """
        decoder = self.decoder
        past = WholeSlice(decoder.slice_size, decoder.widths.reach)
        seen = symbols if drift is None else (symbols + drift).clamp(0, decoder.symbols - 1)
        values = conditioning.offset + seen
        first = past.window(-1, decoder.pixels(values), decoder.first)
        hiddens = decoder.head.hiddens(decoder.features(first, conditioning.start, conditioning.gates, past))
        neighbours = neighbours_of(values, decoder.slice_size)
        forecasts = decoder.forecasts(neighbours, conditioning.forecasts, conditioning.offset)
        logits = []
        for c in range(symbols.shape[-1]):
            logits.append(decoder.head.logits(hiddens[c], c, forecasts[..., c]))
            decoder.head.condition_on(hiddens, c, symbols[..., c])
        return torch.stack(logits, -2)

    def forward(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor, drift: Tensor | None = None) -> Tensor:
        """Return the nats of each sub-pixel of slice k: (B, N, C), at least float32. `drift`: as in `logits`."""
        symbols = self.target(coarse, fine, k)
        logits = self.logits(self.condition(coarse, fine, k, controls), symbols, drift)
        logits = logits if logits.dtype is torch.float64 else logits.float()
        return F.cross_entropy(rearrange(logits, "b n c v -> b v n c"), symbols, reduction="none")


def neighbours_of(values: Tensor, slice_size: int) -> Tensor:
    """Return the `NEIGHBOURS` of each position of (B, N, C) values, (B, N, 4, C); ABSENT outside the slice."""
    grid = F.pad(rearrange(values, "b (h w) c -> b h w c", h=slice_size), (0, 0, 1, 1, 1, 0), value=ABSENT)
    each = [grid[:, 1 + y : 1 + y + slice_size, 1 + x : 1 + x + slice_size] for y, x in NEIGHBOURS]
    return torch.stack(each, -2).flatten(1, 2)


def build(config: ModelConfig) -> nn.ModuleDict:
    """Return the networks of `config`, by stage, with random weights."""
    return nn.ModuleDict({stage: Network(config, stage) for stage in config.geometry.stages})
