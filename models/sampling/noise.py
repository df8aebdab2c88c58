"""Counter-based Gumbel noise: a function of the image's seed and an address only.

Philox-4x32 with ten rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), keyed by the seed and
addressed by (stage, slice and candidate, position, channel, value). Sampling is then a deterministic function of weights
and seed, whatever the sampler and the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.config import Stage, Step

Shape = tuple[int, int, int]
"""(N, C, V): positions, channels, values."""

NOISE_VERSION = 1
"""Part of the numerics id: another scheme gives other images for the same seed."""

STAGES = {Stage.BASE: 0, Stage.SIZE: 1, Stage.DEPTH: 2}
_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)


def philox(counter: tuple[Tensor, ...], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Return four random words for four words of counter and two of key, all int64 tensors of 32-bit values."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        # 64-bit products wrap around, but both their 32-bit halves come out right.
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32 & _MASK) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32 & _MASK) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = k0 + _WEYL[0] & _MASK, k1 + _WEYL[1] & _MASK
    return c0, c1, c2, c3


def gumbel(seed: int, step: Step, shape: Shape, candidate: int = 0) -> Tensor:
    """Return standard Gumbel noise, (N, C, V) float64, of one candidate for one slice of one image."""
    return gumbel_of(torch.tensor([noise_words(seed, step, candidate)]), shape)[0]


def gumbel_of(words: Tensor, shape: Shape) -> Tensor:
    """Return standard Gumbel noise, (R, N, C, V) float64, of the slices with `noise_words` (R, 4), on their device."""
    return to_gumbel(uniform(words, shape))


def noise_words(seed: int, step: Step, candidate: int) -> tuple[int, int, int, int]:
    """Return the 32-bit words that determine the noise of a slice: both halves of the seed, its slice word, its stage."""
    return seed & _MASK, seed >> 32 & _MASK, slice_word(step, candidate), STAGES[step.stage]


def slice_word(step: Step, candidate: int) -> int:
    """Return the word of the address with the slice in its lower and the candidate in its upper half."""
    return candidate << 16 | step.slice


def uniform(words: Tensor, shape: Shape) -> Tensor:
    """Return uniform numbers (word + 1/2) / 2^32, never 0 or 1. A block of four values is one Philox call."""
    positions, channels, symbols = shape
    position, channel, block = (
        torch.arange(count, device=words.device) for count in (positions, channels, -(-symbols // 4))
    )
    low, high, slices, stages = words[..., None, None, None].unbind(1)  # (R, 1, 1, 1) each
    address = (channel[:, None] * (1 << 16) + block, position[:, None, None], slices, stages)
    random = torch.stack(philox(address, (low, high)), -1)  # (R, N, C, blocks, 4)
    return (random.flatten(-2)[..., :symbols].double() + 0.5) / 2**32


def to_gumbel(uniform: Tensor) -> Tensor:
    """Compute -log(-log(u)) in place."""
    return uniform.log_().neg_().log_().neg_()


def gumbel_max(logits: Tensor, noise: Tensor, temperature: Tensor) -> Tensor:
    """Sample softmax(logits / temperature), (..., V): (...). Ties go to the lowest value; V if a logit is NaN."""
    score = logits / temperature[..., None] + noise
    every = torch.arange(score.shape[-1], device=score.device)
    return torch.where(score == score.amax(-1, keepdim=True), every, score.shape[-1]).amin(-1)
