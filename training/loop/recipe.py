"""How a network is trained: every number that a run has as an option."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Rates per step, shares as fractions, `minutes` of wall time for this call.

    An update averages `accumulate` minibatches of `batch` slices from each process, as one large batch. A network has one
    schedule over all calls: warm-up, then the peak rate. In the last `decay_share` of the last call the rate falls along a
    straight line to `final_rate`.

    `early`: an exponent that makes the first slices of a stage more frequent (training/loop/slices.py). Reported bits are
    corrected for it, gradients are not.

    `drift`: the share of examples in which the earlier pixels of the slice are shifted (training/loop/drift.py).
    """

    batch: int = 16
    accumulate: int = 1
    matrix_rate: float = 5e-3
    learning_rate: float = 3e-3
    final_rate: float = 0.02
    warmup_steps: int = 200
    decay_share: float = 0.0
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_halflife_steps: int = 400
    drop_control: float = 0.1
    early: float = 0.0
    drift: float = 0.0
    minutes: float = 10.0
    save_every_minutes: float = 2.0
    part_bytes: int | None = None
    seed: int = 0

    def rate(self, done: float) -> float:
        """Return the fraction of the peak rates after the share `done` of the time of this call, without warm-up."""
        left = 1 - min(done, 1.0)
        if left >= self.decay_share:
            return 1.0
        return self.final_rate + (1 - self.final_rate) * left / self.decay_share
