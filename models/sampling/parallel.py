"""Exact predictive sampling: forecast a window of pixels, draw all of it in one pass, keep what the forecast got right.

With the noise fixed, sampling is a deterministic function of the pixels before. If the first m draws of a window agree
with their forecasts, they and the next one are exactly what the sequential sampler would have drawn (Wiggers & Hoogeboom
2020, arXiv:2002.09928; Song et al. 2021, arXiv:2002.03629). Draws past that point become forecasts of the next pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.sampling.passes import GROUP, SliceDraw, Tokens


def sample(draw: SliceDraw, tokens_per_pass: int) -> Tensor:
    """Draw all rows of `draw`; returns symbols (R, N, C). M = `tokens_per_pass` is dealt out evenly among the rows."""
    device, n = draw.noise.device, draw.positions
    window = tokens_per_pass // draw.rows // GROUP * GROUP
    ahead = torch.arange(window, device=device)
    rows = torch.arange(tokens_per_pass, device=device) // window
    spare = rows >= draw.rows
    rows = rows.clamp(max=draw.rows - 1)
    start = torch.zeros(draw.rows, dtype=torch.long, device=device)
    seen = torch.zeros_like(start)  # positions below it hold a forecast
    while int(start.min()) < n:
        places = start[:, None] + ahead
        flat = torch.full((tokens_per_pass,), n, device=device)
        flat[: draw.rows * window] = places.clamp(max=n).flatten()
        tokens = Tokens(rows=rows, positions=torch.where(spare, n, flat), window=window)
        guess_new(draw, tokens, seen[rows])
        guessed, drawn = draw.at(tokens), draw.run(tokens)
        draw.put(tokens, drawn)
        agree = (guessed == drawn).all(-1)[: draw.rows * window].view(draw.rows, window)
        accepted = (agree.long().cumprod(1).sum(1) + 1).clamp(max=window)
        seen = (start + window).clamp(max=n)
        start = (start + accepted).clamp(max=n)
    return draw.symbols()


def guess_new(draw: SliceDraw, tokens: Tokens, seen: Tensor) -> None:
    """Forecast window positions that no pass has drawn yet: as the last pixel that has a value."""
    fresh = (tokens.positions >= seen) & (tokens.positions < draw.positions)
    last = Tokens(rows=tokens.rows, positions=torch.where(seen > 0, seen - 1, 0), window=tokens.window)
    known = draw.at(last)
    idle = torch.where(fresh, tokens.positions, draw.positions)
    draw.put(Tokens(rows=tokens.rows, positions=idle, window=tokens.window), known)
