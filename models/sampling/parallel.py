"""Exact predictive sampling: forecast a window of pixels, draw all of it in one pass, keep what the forecast got right.

With the noise fixed, sampling is a deterministic function of the pixels before. If the first m draws of a window agree
with their forecasts, they and the next one are exactly what the sequential sampler would have drawn (Wiggers & Hoogeboom
2020, arXiv:2002.09928; Song et al. 2021, arXiv:2002.03629). Draws past that point become forecasts of the next pass.

The pass itself is `models.sampling.passes.Pass`, the same for all samplers; what makes it parallel is long windows.
"""

from __future__ import annotations

import torch
from torch import Tensor


def deal(left: Tensor, pace: Tensor, tokens: int) -> Tensor:
    """One token for every row that is not finished, the rest in proportion to what each has lately accepted.

    A picture alone gets all of them: latency. As many pictures as tokens get one each: no token is wasted.
    """
    busy = left > 0
    weight = torch.where(busy, pace, 0)
    spare = (tokens - busy.sum()) * weight / weight.sum().clamp(min=1)
    return torch.minimum(1 + spare.to(torch.long), left)
