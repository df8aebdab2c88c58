"""A check of the baselines: their order on dynamically binarised digits, beside the published one.

`load_digits` of scikit-learn: 1,797 images of 8 x 8 in 17 greys. The grey of a pixel is its probability of being white.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from models.config import Control, Geometry
from research.baselines.baseline import Baseline
from research.baselines.baseline_presets import BaselineKind, small
from research.evidence.contestants import BASELINE_RATES, Contestant, Part
from research.evidence.likelihood import LikelihoodRow, RunBits, excess, half, interval, rows_of
from research.evidence.training_runs import RUNS, TrainingRun
from training.data.symbols import ImageBatch
from training.scoring.scores import Floats, markdown

GEOMETRY: Final = Geometry(size=8, slice_size=8, channels=1, coarse_bits=1, fine_bits=1)
FOLDER: Final = RUNS / "digits"
TRAINED: Final = 1500
PACES: Final = {
    BaselineKind.PIXELCNN: 849,
    BaselineKind.ROW_LSTM: 872,
    BaselineKind.GATED: 924,
    BaselineKind.SNAIL: 677,
}
"""Updates in a minute of processor time."""

_WHITE: Final = 16.0


class Digits:
    """A data set without controls. Training digits are binarised at every draw, the others once."""

    controls: tuple[Control, ...] = ()
    families: tuple[str, ...] = ("digits",)

    def __init__(self) -> None:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - needs the benchmarks extra

        chances: Floats = load_digits().images / _WHITE
        order = np.random.default_rng(0).permutation(len(chances))
        self.trained, self.held = chances[order[:TRAINED]], chances[order[TRAINED:]]

    def draw(self, rng: np.random.Generator, count: int) -> ImageBatch:
        """Return `count` training digits."""
        return binarised(rng, self.trained[rng.integers(TRAINED, size=count)])

    def held_out(self) -> ImageBatch:
        """Return all other digits."""
        return binarised(np.random.default_rng(1), self.held)

    def independent_nats(self) -> float:
        """Return the nats of a held-out digit with independent pixels, each with its mean in training: the bound to beat."""
        black = self.held_out().images[..., 0] > 0
        chance = np.clip(self.trained.mean(0), 1e-3, 1 - 1e-3)
        return float(-np.where(black, np.log(chance), np.log(1 - chance)).sum((1, 2)).mean())


def binarised(rng: np.random.Generator, chances: Floats) -> ImageBatch:
    """Draw images of 0 and 255 from chances (B, 8, 8)."""
    images = (rng.random(chances.shape) < chances)[..., None].astype(np.uint8) * 255
    count = len(images)
    return ImageBatch(images=images, controls=np.zeros((count, 0), np.int64), families=np.zeros(count, np.int64))


def runs(minutes: float, seeds: Sequence[int], folder: Path = FOLDER) -> list[TrainingRun]:
    """Return runs of the four baselines in a small size."""
    return [
        TrainingRun(contestant=contestant(kind), seed=seed, minutes=minutes, folder=folder)
        for seed in seeds
        for kind in BaselineKind
    ]


def contestant(kind: BaselineKind) -> Contestant:
    """Return one of the four baselines, over one bit."""
    make = partial(small, kind, GEOMETRY, (), bits=1)
    part = Part(stage=Baseline.stage, share=1.0, pace=PACES[kind], geometry=GEOMETRY, make=make, rates=BASELINE_RATES)
    return Contestant(name=kind.value, title=kind.value, parts=(part,))


def rows(digits: Digits, finished: Sequence[TrainingRun]) -> list[LikelihoodRow]:
    """Return the rows in bits/dim."""
    held_out = digits.held_out()
    return rows_of([RunBits.of(run, held_out) for run in finished], [contestant(kind) for kind in BaselineKind])


def table(digits: Digits, found: Sequence[LikelihoodRow]) -> str:
    """Return the rows in nats per image, best first, as Markdown."""
    nats, first = GEOMETRY.dimensions * np.log(2), found[0]
    lines = [
        [
            r.contestant.title,
            f"{r.contestant.parameters:,}",
            " / ".join(f"{b * nats:.2f}" for b in r.bits),
            f"{np.mean(r.bits) * nats:.2f} ± {half(interval(r.values)) * nats:.2f}",
            "" if r is first else excess(r.above(first) * nats, decimals=2),
        ]
        for r in sorted(found, key=lambda r: float(np.mean(r.bits)))
    ]
    lines.append(["independent pixels", "64", "", f"{digits.independent_nats():.2f}", ""])
    return markdown(["model", "parameters", "nats, by seed", "mean", f"above {first.contestant.title}"], lines)
