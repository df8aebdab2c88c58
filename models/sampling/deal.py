"""How the M tokens of a pass are shared among the rows. It is the only difference between the two cached samplers.

With the noise fixed, sampling is a deterministic function of the pixels before. If the first m samples of a window agree
with their forecasts, they and the next one are exactly what the sequential sampler gives. Later samples become forecasts of
the next pass (Wiggers & Hoogeboom 2020, arXiv:2002.09928; Song et al. 2021, arXiv:2002.03629).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import torch
from torch import Tensor


class SamplerName(StrEnum):
    """How a slice is sampled; both give the same image (docs/architecture.md, Samplers)."""

    PARALLEL = "parallel"
    CACHED = "cached"


Deal = Callable[[Tensor, Tensor, int], Tensor]
"""Shares the M tokens of a pass: positions left (R,), pace (R,), M -> window lengths (R,).

A window has at least one token and at most as many as positions are left; none for a finished row. Their sum is at most M.
"""


def deal_one_each(left: Tensor, pace: Tensor, tokens: int) -> Tensor:  # noqa: ARG001 - the signature of Deal
    """Return one token for each unfinished row."""
    return left.clamp(max=1)


def deal_by_pace(left: Tensor, pace: Tensor, tokens: int) -> Tensor:
    """Return one token for each unfinished row, and the rest in proportion to pace.

    A single image gets all tokens: latency. As many images as tokens get one each: no token is wasted.
    """
    busy = left > 0
    weight = torch.where(busy, pace, 0).double()  # exact for a row alone: it has all tokens, whatever its pace
    spare = (tokens - busy.sum()) * weight / weight.sum().clamp(min=1)
    return torch.minimum(1 + spare.to(torch.long), left)


DEALS: Final = {SamplerName.PARALLEL: deal_by_pace, SamplerName.CACHED: deal_one_each}
