"""The oracle of the tests: a whole forward pass for every sub-pixel. Slow, but obvious."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from models.decoder import Conditioning
from models.network import Network
from models.sampling.guidance import guided
from models.sampling.noise import gumbel, gumbel_max
from models.sampling.slice_request import SliceRequest


class SliceInputs(NamedTuple):
    """What determines R slices: the conditioning of each side of guidance, noise (R, N, C, V), temperature, guidance (R,).

    A slice without guidance has its own conditioning on both sides.
    """

    sides: tuple[Conditioning, Conditioning]
    noise: Tensor
    temperature: Tensor
    guidance: Tensor

    @classmethod
    def of(cls, network: Network, requests: Sequence[SliceRequest]) -> Self:
        """Return the inputs of slices, each computed alone."""
        geometry, like = network.geometry, network.decoder.first.weight
        shape = (geometry.positions, geometry.channels, network.decoder.symbols)
        sides = (
            [conditioning(network, request, request.controls) for request in requests],
            [conditioning(network, request, request.unconditional or request.controls) for request in requests],
        )
        conditional, unconditional = (Conditioning(*map(torch.cat, zip(*side, strict=True))) for side in sides)
        return cls(
            sides=(conditional, unconditional),
            noise=torch.stack([gumbel(r.seed, r.step, shape, r.candidate) for r in requests]).to(like),
            temperature=like.new_tensor([request.temperature for request in requests]),
            guidance=like.new_tensor([request.guidance for request in requests]),
        )


def conditioning(network: Network, request: SliceRequest, controls: Sequence[int]) -> Conditioning:
    """Return the conditioning of one slice with some controls, (1, N, ...)."""
    device = network.ranks.device
    coarse, fine = (torch.from_numpy(part)[None].long().to(device) for part in request.progress.values)
    indices = torch.tensor([controls], dtype=torch.long, device=device)
    return network.condition(coarse, fine, torch.tensor([request.step.slice], device=device), indices)


def sample(network: Network, requests: Sequence[SliceRequest], *, positions: int | None = None) -> Tensor:
    """Return the symbols of R slices, (R, N, C); only the first `positions` are sampled, the rest is 0."""
    inputs = SliceInputs.of(network, requests)
    symbols = torch.zeros(inputs.noise.shape[:-1], dtype=torch.long, device=inputs.noise.device)
    for n in range(positions or symbols.shape[1]):
        for c in range(symbols.shape[2]):
            symbols[:, n, c] = resample(network, inputs, symbols)[:, n, c]
    return symbols


def resample(network: Network, inputs: SliceInputs, symbols: Tensor) -> Tensor:
    """Return the sample at every sub-pixel, conditioned on the earlier `symbols`. A sample is its own result."""
    logits = [network.logits(side, symbols) for side in inputs.sides]
    return gumbel_max(guided(logits, inputs.guidance[:, None, None]), inputs.noise, inputs.temperature[:, None, None])
