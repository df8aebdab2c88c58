"""Samples of a model for a list of requests, drawn once and kept in pieces, so that a stopped command can continue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from torch import nn
from tqdm import tqdm

from models.cards import WEIGHTS, ModelCard
from models.checkpoint import load_model
from models.config import Stage
from models.pipeline import ImageState
from models.subscale import Bytes, Progress
from research.baselines.baseline import Baseline
from research.baselines.sampler import BaselineSampler
from research.evidence.contestants import SIZE, SPN
from research.evidence.sample_requests import SampleRequests
from research.evidence.training_runs import TrainingRun
from training.data.tiles import box
from training.scoring.samples import compiled_pipeline, finish

SHIPPED: Final = "symbols-64"
"""The shipped weights, trained for hours."""

TOGETHER: Final = 32
"""Images in a batch of every sampler."""

Draw = Callable[[Sequence[Sequence[int]], Sequence[int]], Bytes]
"""Controls and seeds, up to `TOGETHER` of each -> (n, H, W, C) uint8."""


def samples(draw: Callable[[], Draw], requests: SampleRequests, place: Path) -> Bytes:
    """Return one image per request, kept in `place`; `draw` is called only if some are missing."""
    place.mkdir(parents=True, exist_ok=True)
    made: Draw | None = None
    pieces = []
    for start in tqdm(range(0, len(requests.controls), TOGETHER), desc=f"{place.parent.name}: {requests.name}"):
        path = place / f"{start:05d}.npy"
        controls = requests.controls[start : start + TOGETHER]
        if not path.exists() or len(np.load(path)) < len(controls):
            made = made or draw()
            np.save(path, made(controls.tolist(), range(start, start + len(controls))))
        pieces.append(np.load(path)[: len(controls)])
    return np.concatenate(pieces)


def shipped() -> Draw:
    """Return images of the weights that the service ships, at the size of the contestants."""
    return reduced(pipeline(*load_model(WEIGHTS / SHIPPED)))


def reduced(draw: Draw) -> Draw:
    """Return the images of `draw`, averaged over whole blocks of pixels to SIZE x SIZE, as the data set makes its images."""
    return lambda controls, seeds: box(draw(controls, seeds), SIZE)


def of_run(run: TrainingRun) -> Draw:
    """Return images of the averaged weights of a finished run."""
    networks = run.networks()
    if isinstance(only := networks[Stage.BASE], Baseline):
        return BaselineSampler(only, TOGETHER, compiled=True).draw
    return pipeline(networks, spn_card(run))


def spn_card(run: TrainingRun) -> ModelCard:
    """Return a card for weights that are not shipped."""
    return ModelCard(name=run.label, config=SPN, sha256="", parameters=run.contestant.parameters)


def pipeline(networks: nn.ModuleDict, card: ModelCard) -> Draw:
    """Return the batch sampler of a Subscale Pixel Network."""
    compiled = compiled_pipeline(networks, card, capacity=TOGETHER)

    def draw(controls: Sequence[Sequence[int]], seeds: Sequence[int]) -> Bytes:
        blank = Progress(geometry=card.config.geometry)
        states = [
            ImageState(seed=seed, controls=tuple(values), progress=blank)
            for values, seed in zip(controls, seeds, strict=True)
        ]
        return np.stack([state.progress.image() for state in finish(compiled, states)])

    return draw
