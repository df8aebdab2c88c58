"""The sequential sampler: one pixel of every row a pass, on caches. The honest baseline of anything faster."""

from __future__ import annotations

import torch
from torch import Tensor

from models.sampling.passes import GROUP, SliceDraw, Tokens


def sample(draw: SliceDraw, tokens_per_pass: int) -> Tensor:
    """Draw all rows of `draw`; returns symbols (R, N, C). `tokens_per_pass` is M, at least `GROUP` a row."""
    rows = torch.arange(tokens_per_pass, device=draw.noise.device) // GROUP
    working = (torch.arange(tokens_per_pass, device=rows.device) % GROUP == 0) & (rows < draw.rows)
    rows = rows.clamp(max=draw.rows - 1)
    for position in range(draw.positions):
        tokens = Tokens(rows=rows, positions=torch.where(working, position, draw.positions), window=GROUP)
        draw.put(tokens, draw.run(tokens))
    return draw.symbols()
