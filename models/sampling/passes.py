"""One pass of a decoder over M packed tokens, on caches indexed by position: deal, forecast, sample, accept.

A pass needs nothing from the host and has one shape, so it can be compiled and captured once, and repeated. A token is any
position of any row; rows may differ in job, slice, seed and temperature. The result of a token does not depend on the other
tokens (docs/architecture.md, Samplers). An idle token is at position N and writes to its row's scratch slot: no branches.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.decoder import Decoder
from models.embedder import ABSENT
from models.sampling.board import Board, Raster
from models.sampling.deal import Deal
from models.sampling.guidance import guided
from models.sampling.noise import gumbel_max

PACE_STEP = 0.25
"""Weight of the last pass in a row's pace."""


class Tokens(NamedTuple):
    """The tokens of one pass: rows (M,), positions (M,), N for idle; place (M,) in the row's window; window (R,) lengths."""

    rows: Tensor
    positions: Tensor
    place: Tensor
    window: Tensor


class CachedPast:
    """A `Past` of packed tokens in their lanes, (M,). It writes the tokens' own part to the board's caches, then reads them."""

    def __init__(self, board: Board, raster: Raster, lanes: Tensor, positions: Tensor) -> None:
        self.board, self.lanes, self.positions = board, lanes, positions
        base = lanes * raster.slots
        self.own, self.taps = base + raster.own[positions], base[:, None] + raster.taps[positions]
        every = torch.arange(board.keys[0].shape[-1], device=lanes.device)
        self.future = (every > positions[:, None])[:, None]  # (M, 1, N + 1)

    def window(self, layer: int, x: Tensor, linear: nn.Linear) -> Tensor:
        """Map (M, D) to (M, outputs)."""
        grid = self.board.grids[layer]
        grid[self.own] = x
        out: Tensor = linear(torch.cat([grid[self.taps].flatten(1), x], -1))
        return out

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Map (M, heads, d) each to (M, heads * d).

        Sums instead of matrix products compile into one loop per token over its cache. Nothing is gathered, and no kernel
        depends on the number of tokens of a row.
        """
        keys, contents = self.board.keys[layer], self.board.contents[layer]
        lanes, positions = self.lanes, self.positions
        keys[lanes, :, :, positions] = k
        contents[lanes, :, positions] = v
        score = (q[..., None] * keys[lanes]).sum(2) * q.shape[-1] ** -0.5  # (M, heads, N + 1)
        share = score.masked_fill(self.future, -torch.inf).softmax(-1)
        out: Tensor = (share[..., None] * contents[lanes]).sum(2).flatten(1)
        return out


class Pass(nn.Module):
    """One pass over M = `tokens` tokens; every row of the board advances by at least one pixel."""

    def __init__(self, decoder: Decoder, raster: Raster, deal: Deal, *, tokens: int) -> None:
        super().__init__()
        self.decoder, self.raster, self.deal, self.tokens = decoder, raster, deal, tokens

    def forward(self, board: Board, lanes: int = 1) -> Tensor:
        """Advance `board` in place; return the most positions that a row still lacks, ().

        `lanes`: 2 if a row is guided. Each has its own M tokens in the layers, so that no product changes its shape.
        """
        tokens = self._dealt(board)
        base = tokens.rows * self.raster.slots
        own = base + self.raster.own[tokens.positions]
        self._forecast(board, tokens, own, base)
        guesses = board.values[own]
        samples = self._sample(board, tokens, base, lanes)
        idle = tokens.positions == self.raster.positions
        board.values[own] = torch.where(idle[:, None], ABSENT, samples)
        self._accept(board, tokens, (guesses == samples).all(-1))
        return (self.raster.positions - board.front).amax()

    def _dealt(self, board: Board) -> Tokens:
        """Return the tokens: windows begin at their row's front and follow one another."""
        n = self.raster.positions
        window = self.deal(n - board.front, board.pace, self.tokens)
        end = window.cumsum(0)
        token = torch.arange(self.tokens, device=end.device)
        rows = (token[:, None] >= end).sum(-1).clamp(max=len(end) - 1)
        place = token - (end - window)[rows]
        return Tokens(rows, torch.where(place < window[rows], board.front[rows] + place, n), place, window)

    def _forecast(self, board: Board, tokens: Tokens, own: Tensor, base: Tensor) -> None:
        """Guess positions that no pass has sampled: known neighbours in the image, else the pixel above, else the last one.

        Of six forecasts this needed the fewest passes (docs/sampling.md).
        """
        raster, symbols, seen = self.raster, self.decoder.symbols, board.seen[tokens.rows]
        at, lead = tokens.positions.clamp(max=raster.positions - 1), tokens.rows * board.lanes
        offset = board.conditioning.offset[lead, at]
        last = board.values[base + raster.own[(seen - 1).clamp(min=0)]]
        above = board.values[base + raster.own[(at - raster.side).clamp(min=0)]]
        around = board.conditioning.forecasts[lead, at, -1]
        has_above = (at >= raster.side) & (at - raster.side < seen)
        guess = torch.where((seen > 0)[:, None], last, offset)
        guess = torch.where(has_above[:, None], above, guess)
        guess = torch.where(around == ABSENT, guess, around)
        guess = offset + (guess - offset).clamp(0, symbols - 1)
        fresh = (tokens.positions >= seen) & (tokens.positions < raster.positions)
        board.values[own] = torch.where(fresh[:, None], guess, board.values[own])

    def _sample(self, board: Board, tokens: Tokens, base: Tensor, lanes: int) -> Tensor:
        """Return the values that the model samples at the tokens, (M, C)."""
        decoder, raster, c = self.decoder, self.raster, board.conditioning
        row, at = tokens.rows, tokens.positions.clamp(max=raster.positions - 1)
        lead = row * board.lanes
        taps = base[:, None] + raster.taps[tokens.positions]
        previous = base + raster.previous[tokens.positions]
        board.pixels[previous] = decoder.pixels(board.values[previous])
        first, sides = decoder.first(board.pixels[taps].flatten(1)), []
        for lane in (lead + side for side in range(lanes)):
            past = CachedPast(board, raster, lane, tokens.positions)
            features = decoder.features(first, c.start[lane, at], c.gates[lane, at], past)
            sides.append(decoder.head.hiddens(features))
        around, offset = board.values[taps], c.offset[lead, at]
        beside = (around[:, raster.left], around[:, raster.above], around[:, raster.corner])
        forecasts = decoder.forecasts(*beside, c.forecasts[lead, at], offset)
        head, symbols = decoder.head, []
        for channel in range(head.channels):
            logits = [head.logits(hiddens[channel], channel, forecasts[..., channel]) for hiddens in sides]
            score = guided(logits, board.guidance[row])
            symbols.append(gumbel_max(score, board.noise[row, at, channel], board.temperature[row]))
            for hiddens in sides:
                head.condition_on(hiddens, channel, symbols[-1])
        return offset + torch.stack(symbols, -1)

    def _accept(self, board: Board, tokens: Tokens, agree: Tensor) -> None:
        """Accept the samples of each window up to and including the first one that differs from its forecast."""
        row = torch.arange(len(tokens.window), device=agree.device)[:, None]
        wrong = (tokens.rows == row) & (tokens.place < tokens.window[row]) & ~agree
        first = torch.where(wrong, tokens.place, self.raster.positions).amin(-1)
        accepted = torch.minimum(first + 1, tokens.window)
        follow = board.pace + (accepted - board.pace) * PACE_STEP
        board.pace.copy_(torch.where(accepted > 0, follow, board.pace))
        board.seen.copy_(torch.maximum(board.seen, board.front + tokens.window))
        board.front.add_(accepted)
