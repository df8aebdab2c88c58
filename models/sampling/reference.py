"""The oracle: a whole forward pass for every sub-pixel. Slow, obvious, never deleted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.decoder import Conditioning
from models.network import Network
from models.sampling.board import Given
from models.sampling.guidance import guided
from models.sampling.noise import gumbel_max


def sample(network: Network, slices: Sequence[Given], *, positions: int | None = None) -> Tensor:
    """Return the symbols of R slices, (R, N, C); only the first `positions` are drawn, the rest is 0."""
    noise = slices[0].noise
    symbols = torch.zeros(len(slices), *noise.shape[:-1], dtype=torch.long, device=noise.device)
    for n in range(positions or symbols.shape[1]):
        for c in range(symbols.shape[2]):
            symbols[:, n, c] = redraw(network, slices, symbols)[:, n, c]
    return symbols


def redraw(network: Network, slices: Sequence[Given], symbols: Tensor) -> Tensor:
    """What the model draws at every sub-pixel given the others of `symbols`: equal to it exactly if it is a sample."""
    noise = torch.stack([each.noise for each in slices])
    temperature, guidance = (
        noise.new_tensor(numbers)[:, None, None]
        for numbers in ([each.temperature for each in slices], [each.guidance for each in slices])
    )
    sides = [stacked([each.conditioning for each in slices])]
    if any(each.free for each in slices):
        sides.append(stacked([each.free or each.conditioning for each in slices]))
    logits = [network.logits(side, symbols) for side in sides]
    return gumbel_max(guided(logits, guidance), noise, temperature)


def stacked(parts: Sequence[Conditioning]) -> Conditioning:
    """One conditioning of several slices."""
    return Conditioning(*(torch.cat(part) for part in zip(*parts, strict=True)))
