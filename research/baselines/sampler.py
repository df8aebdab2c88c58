"""Drawing from a baseline with caches: every step computes one pixel's features and no other's.

The vertical stack of a Gated PixelCNN is computed a row at a time. Noise is the Subscale Pixel Network's, so that a
picture is a function of weights, controls and seed here too.
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
    """Draws `batch` pictures at once. With `compiled` the steps are compiled by Inductor, at the first draw."""

    def __init__(self, baseline: Baseline, batch: int, *, compiled: bool = False) -> None:
        g = baseline.geometry
        self.baseline, self.batch = baseline, batch
        self.memory = CachedContext((batch, g.size, g.size, g.channels), next(baseline.parameters()))
        self.pixel: Callable[[Tensor, Tensor], None] = self._pixel
        self.row: Callable[[Tensor], None] = self._row
        if compiled:
            self._touch_caches()
            self.pixel, self.row = (compiled_alone(step) for step in (self._pixel, self._row))

    @torch.inference_mode()
    def draw(self, controls: Sequence[Sequence[int]], seeds: Sequence[int]) -> Bytes:
        """One picture per row of controls, at most `batch`: (n, H, W, C) uint8 values of the baseline's bits."""
        missing = self.batch - len(seeds)
        asked = torch.tensor([*controls, *[controls[0]] * missing])
        g, memory = self.baseline.geometry, self.memory
        noise = torch.stack([self.noise(seed) for seed in [*seeds, *[0] * missing]])
        condition = self.baseline.condition(asked)
        memory.restart()
        for n in range(g.positions):
            if n % g.size == 0:
                self.row(condition)
            self.pixel(condition, noise[:, n])
        return memory.picture()[: len(seeds)]

    def noise(self, seed: int) -> Tensor:
        """(N, C, V) in the dtype of the weights."""
        g = self.baseline.geometry
        step = Step(Stage.BASE, 0)
        drawn = gumbel(seed, step, (g.positions, g.channels, self.baseline.head.symbols))
        return drawn.to(self.memory.like.dtype)

    def _row(self, condition: Tensor) -> None:
        self.memory.row_begins(self.baseline.trunk.over_rows, condition[:, None])

    def _pixel(self, condition: Tensor, noise: Tensor) -> None:
        """Draw the pixel at `memory.at`, noise (B, C, V), and step on."""
        baseline, memory = self.baseline, self.memory
        hiddens, near = baseline.hiddens(condition, memory), baseline.near(memory)
        one = condition.new_ones(())
        values = []
        for c in range(noise.shape[1]):
            values.append(gumbel_max(baseline.head.logits(hiddens[c], c, near), noise[:, c], one[None]))
            baseline.head.tell(hiddens, c, values[-1])
        memory.put(torch.stack(values, -1))
        memory.at.add_(1)

    @torch.inference_mode()
    def _touch_caches(self) -> None:
        """One eager step: caches are made when first asked for, and a compiled step must find them made."""
        g = self.baseline.geometry
        condition = self.memory.like.new_zeros(self.batch, self.baseline.asked)
        self._row(condition)
        self._pixel(condition, self.memory.like.new_zeros(self.batch, g.channels, self.baseline.head.symbols))


def compiled_alone(step: Callable[..., None]) -> Callable[..., None]:
    """By Inductor; samplers share their code, and without isolation torch would give up on the ninth and run it eagerly."""
    return torch.compile(step, backend=BACKEND, fullgraph=True, dynamic=False, isolate_recompiles=True)  # type: ignore[call-overload,no-any-return] # torch forgot one of its own arguments
