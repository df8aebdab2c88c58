"""The oracle of the tests: a whole forward pass for every sub-pixel. Slow, but obvious."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.decoder import Conditioning
from models.network import Network
from models.sampling.board import SliceInputs
from models.sampling.guidance import guided
from models.sampling.noise import gumbel_max


def sample(network: Network, slices: Sequence[SliceInputs], *, positions: int | None = None) -> Tensor:
    """Return the symbols of R slices, (R, N, C); only the first `positions` are sampled, the rest is 0."""
    noise = slices[0].noise
    symbols = torch.zeros(len(slices), *noise.shape[:-1], dtype=torch.long, device=noise.device)
    for n in range(positions or symbols.shape[1]):
        for c in range(symbols.shape[2]):
            symbols[:, n, c] = resample(network, slices, symbols)[:, n, c]
    return symbols


def resample(network: Network, slices: Sequence[SliceInputs], symbols: Tensor) -> Tensor:
    """Return the sample at every sub-pixel, conditioned on the earlier `symbols`. A sample is its own result."""
    noise = torch.stack([each.noise for each in slices])
    temperature, guidance = (
        noise.new_tensor(numbers)[:, None, None]
        for numbers in ([each.temperature for each in slices], [each.guidance for each in slices])
    )
    sides = [stacked([each.conditioning for each in slices])]
    if any(each.unconditional for each in slices):
        sides.append(stacked([each.unconditional or each.conditioning for each in slices]))
    logits = [network.logits(side, symbols) for side in sides]
    return gumbel_max(guided(logits, guidance), noise, temperature)


def stacked(parts: Sequence[Conditioning]) -> Conditioning:
    """Return one conditioning of several slices."""
    return Conditioning(*(torch.cat(part) for part in zip(*parts, strict=True)))
