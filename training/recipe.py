"""How a network is trained: every number that a run may be told."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Rates per step, decays as fractions, `minutes` of wall time for this call.

    An update averages `accumulate` lots of `batch` slices from each process, as one big batch.
    """

    batch: int = 16
    accumulate: int = 1
    matrix_rate: float = 5e-3
    learning_rate: float = 3e-3
    final_rate: float = 0.02
    warmup_steps: int = 200
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_halflife_steps: int = 200
    drop_control: float = 0.1
    minutes: float = 10.0
    save_every_minutes: float = 2.0
    seed: int = 0

    def rate(self, done: float) -> float:
        """The fraction of the peak rates after the share `done` of the time: a cosine that falls to `final_rate`."""
        return self.final_rate + (1 - self.final_rate) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
