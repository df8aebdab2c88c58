"""The oracle: a whole forward pass for every sub-pixel. Slow, obvious, never deleted."""

from __future__ import annotations

import torch
from torch import Tensor

from models.decoder import Conditioning
from models.network import Network
from models.sampling.noise import gumbel_max


def sample(
    network: Network, conditioning: Conditioning, noise: Tensor, temperature: Tensor, *, positions: int | None = None
) -> Tensor:
    """Noise (R, N, C, V), temperature (R,) -> symbols (R, N, C); only the first `positions` are drawn, the rest is 0."""
    symbols = torch.zeros(noise.shape[:-1], dtype=torch.long, device=noise.device)
    for n in range(positions or symbols.shape[1]):
        for c in range(symbols.shape[2]):
            logits = network.logits(conditioning, symbols)[:, n, c]
            symbols[:, n, c] = gumbel_max(logits, noise[:, n, c], temperature)
    return symbols


def redraw(network: Network, conditioning: Conditioning, noise: Tensor, temperature: Tensor, symbols: Tensor) -> Tensor:
    """What the model draws at every sub-pixel given the others of `symbols`: equal to it exactly if it is a sample."""
    return gumbel_max(network.logits(conditioning, symbols), noise, temperature[:, None, None])
