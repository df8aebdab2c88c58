"""The contestants: the Subscale Pixel Network and the baselines, as parts that are trained one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch

from models.config import Geometry, ModelConfig, Stage, Widths
from models.network import Network
from research.baselines.baseline import Baseline
from research.baselines.baseline_presets import BaselineKind, whole
from research.baselines.plain_head import without_kernels
from training.data.vocabulary import CONTROLS
from training.loop.recipe import Recipe

SIZE: Final = 32
WIDTHS: Final = Widths(width=96, blocks=4, heads=3, conv_width=48, embedder_blocks=2)
SPN: Final = ModelConfig(
    geometry=Geometry(size=SIZE, slice_size=16), controls=CONTROLS, widths=dict.fromkeys(Stage, WIDTHS)
)
"""The network of the comparison. Unlike a preset it always has as many parameters as the baselines."""

OURS: Final = "spn"
"""The name of the contestant with which the others are compared."""

PLAIN: Final = "spn-plain"
"""The name of the control without kernels."""

SHARES: Final = {Stage.BASE: 0.2, Stage.SIZE: 0.2, Stage.DEPTH: 0.6}
"""Shares of the budget. By bits alone they would be 0.07, 0.11, 0.82, but half a minute of training is too little."""

WARMUP_STEPS: Final = 40
AVERAGE_STEPS: Final = 25
"""Half-life of averaged weights. That of the recipe is for hours: after six minutes it cost the SPN 2 % and PixelSNAIL 4 %."""

DECAY_SHARE: Final = 0.2
"""The last share of a budget, in which rates fall: at constant ones the SPN stopped improving after half an hour."""

POSITIONS: Final = 4096
"""Pixels predicted in an update: 16 slices of 16 x 16, or 4 whole images."""

SPN_RATES: Final = (3.0, 8.0)
BASELINE_RATES: Final = (1.0, 8.0)
RATES: Final[dict[str, tuple[float, float]]] = {
    OURS: SPN_RATES,
    PLAIN: SPN_RATES,
    "gated-pixelcnn": BASELINE_RATES,
    "gated-pixelcnn-kernels": (1.0, 3.0),
    "pixelcnn": BASELINE_RATES,
    "pixelsnail": BASELINE_RATES,
    "row-lstm": (3.0, 8.0),
}
"""Multiples of the peak rates of the recipe, of Muon and of AdamW: the best of a few (`rates`), where searched."""

PACES: Final[dict[str, dict[Stage, float]]] = {
    OURS: {Stage.BASE: 146.7, Stage.SIZE: 146.1, Stage.DEPTH: 129.8},
    PLAIN: {Stage.BASE: 146.7, Stage.SIZE: 148.3, Stage.DEPTH: 148.3},
    "gated-pixelcnn": {Stage.BASE: 62.2},
    "gated-pixelcnn-kernels": {Stage.BASE: 44.3},
    "pixelcnn": {Stage.BASE: 66.1},
    "pixelsnail": {Stage.BASE: 47.2},
    "row-lstm": {Stage.BASE: 55.1},
}
"""Updates in a minute of processor time, by part: those of docs/benchmarks/evidence-pace.json (`pace`)."""

RECIPE: Final = {
    "shares": SHARES,
    "warmup_steps": WARMUP_STEPS,
    "average_steps": AVERAGE_STEPS,
    "decay_share": DECAY_SHARE,
    "positions": POSITIONS,
}
"""What all runs of a comparison share, whatever the contestant."""

WHOLE_IMAGE: Final = Geometry(size=SIZE, slice_size=SIZE)
"""An image as one slice."""


Trained = Network | Baseline
"""A network that the trainer trains for a comparison."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One network to train: a stage and its share of the budget. `make` returns it with random weights.

    - `pace`: updates in a minute of processor time.
    - `rates`: multiples of the peak rates of the recipe, of Muon and of AdamW.
    """

    stage: Stage
    share: float
    pace: float
    geometry: Geometry
    make: Callable[[], Trained]
    rates: tuple[float, float] = (1.0, 1.0)

    def recipe(self, seed: int) -> Recipe:
        """Return the recipe. Parts differ in rates only: the examples of an update always have `POSITIONS` pixels."""
        return Recipe(
            batch=POSITIONS // self.geometry.positions,
            warmup_steps=WARMUP_STEPS,
            decay_share=DECAY_SHARE,
            ema_halflife_steps=AVERAGE_STEPS,
            matrix_rate=Recipe.matrix_rate * self.rates[0],
            learning_rate=Recipe.learning_rate * self.rates[1],
            seed=seed,
        )


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A model with its name and its parts."""

    name: str
    title: str
    parts: tuple[Part, ...]

    @property
    def rates(self) -> tuple[float, float]:
        """The `rates` of every part."""
        return self.parts[0].rates

    @property
    def parameters(self) -> int:
        """The parameters of all parts."""
        with torch.device("meta"):
            return sum(p.numel() for part in self.parts for p in part.make().parameters())


def contestants() -> tuple[Contestant, ...]:
    """Return the Subscale Pixel Network, the four baselines, and two controls.

    The controls exchange heads: the network without kernels, and Gated PixelCNN with them.
    """
    return (
        spn(OURS, "SPN", SPN, PACES[OURS]),
        baseline(BaselineKind.GATED, "Gated PixelCNN"),
        baseline(BaselineKind.PIXELCNN, "PixelCNN"),
        baseline(BaselineKind.SNAIL, "PixelSNAIL"),
        baseline(BaselineKind.ROW_LSTM, "PixelRNN (Row LSTM)"),
        spn(PLAIN, "SPN without kernels", SPN, PACES[PLAIN], make=without_kernels),
        baseline(BaselineKind.GATED, "Gated PixelCNN, our head", kernels=True),
    )


def spn(
    name: str,
    title: str,
    config: ModelConfig,
    paces: Mapping[Stage, float],
    *,
    make: Callable[[ModelConfig, Stage], Network] = Network,
) -> Contestant:
    """Return a Subscale Pixel Network: three networks by `make`, trained one after another."""
    parts = [
        Part(
            stage=stage,
            share=share,
            pace=paces[stage],
            geometry=config.geometry,
            make=partial(make, config, stage),
            rates=RATES.get(name, SPN_RATES),
        )
        for stage, share in SHARES.items()
    ]
    return Contestant(name=name, title=title, parts=tuple(parts))


def baseline(kind: BaselineKind, title: str, *, kernels: bool = False) -> Contestant:
    """Return a baseline: one network over whole images."""
    name = f"{kind}-kernels" if kernels else kind.value
    make = partial(whole, kind, WHOLE_IMAGE, CONTROLS, kernels=kernels)
    part = Part(
        stage=Baseline.stage,
        share=1.0,
        pace=PACES[name][Baseline.stage],
        geometry=WHOLE_IMAGE,
        make=make,
        rates=RATES[name],
    )
    return Contestant(name=name, title=title, parts=(part,))
