"""One of the three networks: slice embedder + masked decoder, and its exact likelihood of a slice."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import ModelConfig, Stage
from models.decoder import Conditioning, Decoder
from models.embedder import ABSENT, Embedder, visible
from models.layers import WholeSlice


class Network(nn.Module):
    """p(slice k | what `stage` may see before it): base p(c_0), size p(c_k | c_<k), depth p(f_k | f_<k, c)."""

    def __init__(self, config: ModelConfig, stage: Stage) -> None:
        super().__init__()
        widths = config.widths[stage]
        self.stage, self.geometry = stage, config.geometry
        self.embedder = Embedder(config.geometry, config.controls, widths)
        self.decoder = Decoder(config.geometry, stage, widths)

    def condition(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Conditioning:
        """Return what a slice needs once. Images (B, H, W, C) int64, `k` (B,), controls (B, n_controls).

        What lies at or after slice k in this stage is hidden here; it may hold anything.
        """
        known = visible(coarse, fine, k, stage=self.stage, geometry=self.geometry)
        embedded = self.embedder(known, k, controls)
        return self.decoder.conditioning(embedded, known, k, self.geometry, self.stage)

    def target(self, coarse: Tensor, fine: Tensor, k: Tensor) -> Tensor:
        """Return the symbols of slice k: (B, N, C) int64."""
        s = self.geometry.subscale
        slices = rearrange(
            fine if self.stage is Stage.DEPTH else coarse, "b (h s) (w t) c -> b (s t) (h w) c", s=s, t=s
        )
        return slices[torch.arange(len(k), device=k.device), k]

    def logits(self, conditioning: Conditioning, symbols: Tensor) -> Tensor:
        """Return teacher-forced logits (B, N, C, V) of symbols (B, N, C); each depends on earlier symbols only."""
        decoder = self.decoder
        past = WholeSlice(decoder.slice_size, decoder.widths.reach)
        values = conditioning.offset + symbols
        first = past.window(-1, decoder.pixels(values), decoder.first)
        hiddens = decoder.head.hiddens(decoder.features(first, conditioning.start, conditioning.gates, past))
        forecasts = decoder.forecasts(*before(values, decoder.slice_size), conditioning.forecasts, conditioning.offset)
        logits = []
        for c in range(symbols.shape[-1]):
            logits.append(decoder.head.logits(hiddens[c], c, forecasts[..., c]))
            decoder.head.condition_on(hiddens, c, symbols[..., c])
        return torch.stack(logits, -2)

    def forward(self, coarse: Tensor, fine: Tensor, k: Tensor, controls: Tensor) -> Tensor:
        """Return the nats of each sub-pixel of slice k: (B, N, C), at least float32."""
        symbols = self.target(coarse, fine, k)
        logits = self.logits(self.condition(coarse, fine, k, controls), symbols)
        logits = logits if logits.dtype is torch.float64 else logits.float()
        return F.cross_entropy(rearrange(logits, "b n c v -> b v n c"), symbols, reduction="none")


def before(values: Tensor, slice_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return left, above and above-left of each position of (B, N, C) values; ABSENT outside the slice."""
    grid = F.pad(rearrange(values, "b (h w) c -> b h w c", h=slice_size), (0, 0, 1, 0, 1, 0), value=ABSENT)
    left, above, corner = grid[:, 1:, :-1], grid[:, :-1, 1:], grid[:, :-1, :-1]
    return left.flatten(1, 2), above.flatten(1, 2), corner.flatten(1, 2)


def build(config: ModelConfig) -> nn.ModuleDict:
    """Return the networks of `config`, by stage, with random weights."""
    return nn.ModuleDict({stage: Network(config, stage) for stage in config.geometry.stages})
