"""Samples of models for lists of requests, drawn in pieces that are kept: a later call continues, and can add more."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np
from torch import nn

from models.cards import WEIGHTS, ModelCard, load_card
from models.config import MODEL_SAMPLING, Sampling, Stage
from models.pipeline import ImageState, Pipeline
from models.subscale import Bytes, Progress
from research.baselines.baseline import Baseline
from research.baselines.sampler import BaselineSampler
from research.evidence.contestants import SPN
from research.evidence.sample_requests import SampleRequests
from research.evidence.training_runs import RUNS, TrainingRun
from training.judge import load_pipeline
from training.scoring.samples import compiled_pipeline

SHIPPED: Final = "symbols-64"

OWN: Final = "guidance 1"
"""The model's own distribution: no guidance, temperature 1, one candidate."""

DEFAULTS: Final = "defaults"
"""The sampling of the card."""

SETTINGS: Final = (OWN, "guidance 1.5", "guidance 2", "guidance 3", DEFAULTS)
"""Settings of the sampler of the shipped model: each guidance with temperature 1 and one candidate, and the defaults."""

BITS: Final = 5
"""Bits of a channel at which images are compared. Only networks that sample these are run: further bits change no drawing."""

TOGETHER: Final = 32
"""Images in a batch of every sampler, and in a piece."""

Draw = Callable[[Sequence[Sequence[int]], Sequence[int]], Bytes]
"""Controls and seeds, up to `TOGETHER` of each -> (n, H, W, C) uint8."""


@dataclass(frozen=True, kw_only=True)
class SampleSeries:
    """One image per request, by one model with one setting, in files of `TOGETHER` in `place`; the seed is the position."""

    title: str
    requests: SampleRequests
    place: Path
    load: Callable[[], Draw]

    def path(self, piece: int) -> Path:
        """Return the file of a piece."""
        return self.place / f"{piece * TOGETHER:05d}.npy"

    def images(self) -> Bytes:
        """Return the images up to the first missing piece: (n, H, W, C). Raises FileNotFoundError without any."""
        found = [np.load(self.path(0))]
        while (path := self.path(len(found))).exists():
            found.append(np.load(path))
        return np.concatenate(found)

    def draw(self, piece: int) -> None:
        """Draw a piece and save it, unless it exists."""
        first, path = piece * TOGETHER, self.path(piece)
        if path.exists():
            return
        controls = self.requests.controls[first : first + TOGETHER].tolist()
        images = self.load()(controls, range(first, first + len(controls)))
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".partial.npy")
        np.save(unfinished, images)
        unfinished.replace(path)


def draw_in_turn(series: Sequence[SampleSeries], count: int, minutes: float) -> None:
    """Draw `count` images of each series, a piece of each in turn, for at most `minutes` of processor time."""
    for piece in range(-(-count // TOGETHER)):
        for each in series:
            if time.process_time() > minutes * 60:
                return
            each.draw(piece)
            print(f"{time.process_time() / 60:.1f} CPU minutes: {each.path(piece)}", flush=True)


def series_of_shipped(requests: SampleRequests, settings: Sequence[str]) -> list[SampleSeries]:
    """Return the series of the shipped model with each setting; shipped weights change under one name."""
    card = load_card(WEIGHTS / SHIPPED)
    place = RUNS / f"{SHIPPED}-{card.sha256[:8]}-{requests.digest}"
    return [
        SampleSeries(
            title=f"{SHIPPED}, {setting}",
            requests=requests,
            place=place / setting.replace(" ", "-"),
            load=partial(_shipped, sampling_of(setting, card)),
        )
        for setting in settings
    ]


def series_of_run(run: TrainingRun, requests: SampleRequests) -> SampleSeries:
    """Return the series of the averaged weights of a finished run."""
    return SampleSeries(
        title=run.label, requests=requests, place=run.place / requests.digest, load=cache(partial(_of_run, run))
    )


def sampling_of(setting: str, card: ModelCard) -> Sampling:
    """Return the sampling of one of `SETTINGS`."""
    return card.sampling if setting == DEFAULTS else Sampling(guidance=float(setting.removeprefix("guidance ")))


def spn_card(run: TrainingRun) -> ModelCard:
    """Return a card for weights that are not shipped."""
    return ModelCard(name=run.label, config=SPN, sha256="", parameters=run.contestant.parameters)


def _shipped(sampling: Sampling) -> Draw:
    return _draw(_shipped_pipeline(), sampling)


@cache
def _shipped_pipeline() -> Pipeline:
    return load_pipeline(WEIGHTS / SHIPPED, capacity=TOGETHER)


def _of_run(run: TrainingRun) -> Draw:
    networks: nn.ModuleDict = run.networks()
    if isinstance(only := networks[Stage.BASE], Baseline):
        return BaselineSampler(only, TOGETHER, compiled=True).draw
    return _draw(compiled_pipeline(networks, spn_card(run), capacity=TOGETHER), MODEL_SAMPLING)


def _draw(pipeline: Pipeline, sampling: Sampling) -> Draw:
    """Return the batch sampler of a Subscale Pixel Network, without its depth network if the others have `BITS`."""
    geometry = pipeline.card.config.geometry
    needed = geometry.slices if geometry.coarse_bits >= BITS else len(geometry.steps)

    def draw(controls: Sequence[Sequence[int]], seeds: Sequence[int]) -> Bytes:
        states = [
            ImageState(seed=seed, controls=tuple(values), sampling=sampling, progress=Progress(geometry=geometry))
            for values, seed in zip(controls, seeds, strict=True)
        ]
        while states[0].progress.done < needed:
            states = pipeline.advance(states)
        return np.stack([state.progress.image() for state in states])

    return draw
