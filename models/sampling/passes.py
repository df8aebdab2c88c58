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
"""Weight of the last pass in the pace of a row, a moving average of the pixels that a pass accepts."""


class Tokens(NamedTuple):
    """The tokens of one pass. Each unfinished row has a window: consecutive positions, from its first that is not final.

    - rows (M,): row of the board
    - positions (M,): position in the slice; N for an idle token
    - place (M,): place in the row's window, from 0
    - window (R,): length of each row's window
    """

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
        tokens = self._deal_tokens(board)
        base = tokens.rows * self.raster.slots
        own = base + self.raster.own[tokens.positions]
        self._forecast(board, tokens, own, base)
        guesses = board.values[own]
        samples = self._sample(board, tokens, base, lanes)
        idle = tokens.positions == self.raster.positions
        board.values[own] = torch.where(idle[:, None], ABSENT, samples)
        self._accept(board, tokens, (guesses == samples).all(-1))
        return (self.raster.positions - board.front).amax()

    def _deal_tokens(self, board: Board) -> Tokens:
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
        position, lane = tokens.positions.clamp(max=raster.positions - 1), tokens.rows * board.lanes
        offset = board.conditioning.offset[lane, position]
        last = board.values[base + raster.own[(seen - 1).clamp(min=0)]]
        above = board.values[base + raster.own[(position - raster.side).clamp(min=0)]]
        mean_of_neighbours = board.conditioning.forecasts[lane, position, -1]
        has_above = (position >= raster.side) & (position - raster.side < seen)
        guess = torch.where((seen > 0)[:, None], last, offset)
        guess = torch.where(has_above[:, None], above, guess)
        guess = torch.where(mean_of_neighbours == ABSENT, guess, mean_of_neighbours)
        guess = offset + (guess - offset).clamp(0, symbols - 1)
        unseen = (tokens.positions >= seen) & (tokens.positions < raster.positions)
        board.values[own] = torch.where(unseen[:, None], guess, board.values[own])

    def _sample(self, board: Board, tokens: Tokens, base: Tensor, lanes: int) -> Tensor:
        """Return the values that the model samples at the tokens, (M, C)."""
        decoder, raster, conditioning = self.decoder, self.raster, board.conditioning
        row, position = tokens.rows, tokens.positions.clamp(max=raster.positions - 1)
        first_lane = row * board.lanes
        taps = base[:, None] + raster.taps[tokens.positions]  # (M, T)
        previous = base + raster.previous[tokens.positions]
        # Final pixels before these were embedded by earlier passes.
        board.pixels[previous] = decoder.pixels(board.values[previous])
        first, hiddens_by_lane = decoder.first(board.pixels[taps].flatten(1)), []
        for lane in (first_lane + side for side in range(lanes)):
            past = CachedPast(board, raster, lane, tokens.positions)
            start, gates = conditioning.start[lane, position], conditioning.gates[lane, position]
            hiddens_by_lane.append(decoder.head.hiddens(decoder.features(first, start, gates, past)))
        earlier, offset = board.values[taps], conditioning.offset[first_lane, position]
        image = conditioning.forecasts[first_lane, position]
        forecasts = decoder.forecasts(earlier[:, raster.neighbours], image, offset)
        head, symbols = decoder.head, []
        for channel in range(head.channels):
            logits = [head.logits(hiddens[channel], channel, forecasts[..., channel]) for hiddens in hiddens_by_lane]
            score = guided(logits, board.guidance[row])
            symbols.append(gumbel_max(score, board.noise[row, position, channel], board.temperature[row]))
            for hiddens in hiddens_by_lane:
                head.condition_on(hiddens, channel, symbols[-1])
        return offset + torch.stack(symbols, -1)

    def _accept(self, board: Board, tokens: Tokens, correct: Tensor) -> None:
        """Accept the samples of each window up to and including the first one that differs from its forecast.

        `correct`, (M,): whether a token's sample equals its forecast.
        """
        row = torch.arange(len(tokens.window), device=correct.device)[:, None]
        wrong = (tokens.rows == row) & (tokens.place < tokens.window[row]) & ~correct
        first = torch.where(wrong, tokens.place, self.raster.positions).amin(-1)
        accepted = torch.minimum(first + 1, tokens.window)
        average = board.pace + (accepted - board.pace) * PACE_STEP
        board.pace.copy_(torch.where(accepted > 0, average, board.pace))
        board.seen.copy_(torch.maximum(board.seen, board.front + tokens.window))
        board.front.add_(accepted)
