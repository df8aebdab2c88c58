"""Sampling from a baseline with caches: every step computes the features of one pixel only.

The vertical stack of a Gated PixelCNN is computed row by row. The noise is that of the Subscale Pixel Network, so that an
image is a function of weights, controls and seed here too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from models.config import Stage, Step
from models.sampling.noise import gumbel, gumbel_max
from models.subscale import Bytes
from research.baselines.baseline import Baseline
from research.baselines.causal_context import CachedContext

BACKEND: Final = "inductor"


class BaselineSampler:
    """A sampler of `batch` images at once. With `compiled` Inductor compiles the steps at the first draw."""

    def __init__(self, baseline: Baseline, batch: int, *, compiled: bool = False) -> None:
        g = baseline.geometry
        self.baseline, self.batch = baseline, batch
        self.context = CachedContext((batch, g.size, g.size, g.channels), next(baseline.parameters()))
        self.pixel: Callable[[Tensor, Tensor], None] = self._pixel
        self.row: Callable[[Tensor], None] = self._row
        if compiled:
            self._touch_caches()
            self.pixel, self.row = (compiled_alone(step) for step in (self._pixel, self._row))

    @torch.inference_mode()
    def draw(self, controls: Sequence[Sequence[int]], seeds: Sequence[int]) -> Bytes:
        """Return one image per row of controls, at most `batch`: (n, H, W, C) uint8 values of the bits of the baseline."""
        missing = self.batch - len(seeds)
        padded = torch.tensor([*controls, *[controls[0]] * missing])
        g, context = self.baseline.geometry, self.context
        noise = torch.stack([self.noise(seed) for seed in [*seeds, *[0] * missing]])
        condition = self.baseline.condition(padded)
        context.restart()
        for n in range(g.positions):
            if n % g.size == 0:
                self.row(condition)
            self.pixel(condition, noise[:, n])
        return context.image()[: len(seeds)]

    def noise(self, seed: int) -> Tensor:
        """Return the noise of an image: (N, C, V) in the dtype of the weights."""
        g = self.baseline.geometry
        step = Step(Stage.BASE, 0)
        drawn = gumbel(seed, step, (g.positions, g.channels, self.baseline.head.symbols))
        return drawn.to(self.context.like.dtype)

    def _row(self, condition: Tensor) -> None:
        self.context.start_row(self.baseline.trunk.over_rows, condition[:, None])

    def _pixel(self, condition: Tensor, noise: Tensor) -> None:
        """Draw the pixel at `context.at` with noise (B, C, V), and move to the next one."""
        baseline, context = self.baseline, self.context
        hiddens, neighbours = baseline.hiddens(condition, context), baseline.neighbours(context)
        one = condition.new_ones(())
        values = []
        for c in range(noise.shape[1]):
            values.append(gumbel_max(baseline.head.logits(hiddens[c], c, neighbours), noise[:, c], one[None]))
            baseline.head.add_symbol(hiddens, c, values[-1])
        context.put(torch.stack(values, -1))
        context.at.add_(1)

    @torch.inference_mode()
    def _touch_caches(self) -> None:
        """Run one eager step, which makes all caches: a compiled step must find them."""
        g = self.baseline.geometry
        condition = self.context.like.new_zeros(self.batch, self.baseline.condition_width)
        self._row(condition)
        self._pixel(condition, self.context.like.new_zeros(self.batch, g.channels, self.baseline.head.symbols))


def compiled_alone(step: Callable[..., None]) -> Callable[..., None]:
    """Compile a step by Inductor. Samplers share their code; without isolation torch would run the ninth one eagerly."""
    return torch.compile(step, backend=BACKEND, fullgraph=True, dynamic=False, isolate_recompiles=True)  # type: ignore[call-overload,no-any-return] # torch forgot one of its own arguments
