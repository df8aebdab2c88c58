"""Images drawn from a model for a list of requests: for sheets and for the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from einops import rearrange
from torch import nn
from tqdm import tqdm

from models.cards import ModelCard
from models.config import Sampling, Stage, Temperatures, control_indices
from models.pipeline import ImageState, Pipeline
from models.sampling.backends.fastest import Fastest
from models.subscale import Bytes, Progress

PASSES: Final = Path(".cache/passes")
"""Folder of compiled code."""

ControlValues = Mapping[str, str]
"""Values of controls by name; a control that is not named may have any value."""


def compiled_pipeline(networks: nn.ModuleDict, card: ModelCard, *, capacity: int = 16) -> Pipeline:
    """Return a pipeline on the fastest backend, with compiled code in `PASSES`."""
    return Pipeline(networks, card, capacity=capacity, backend=Fastest(PASSES))


def samples(
    pipeline: Pipeline,
    requests: Sequence[ControlValues],
    *,
    sampling: Sampling | None = None,
    seed: int = 0,
    starts: Bytes | None = None,
) -> Bytes:
    """Return one image per request, seeds counting from `seed`: (n, H, W, C) uint8, full range.

    `sampling`: by default that of the card. `starts`, (n, m, m, C): smaller images to enlarge; m is a level of the model.
    """
    states = unstarted(pipeline, requests, sampling=sampling, seed=seed)
    if starts is not None:
        known = (Progress.of_level(image, pipeline.card.config.geometry) for image in starts)
        states = [replace(state, progress=progress) for state, progress in zip(states, known, strict=True)]
    groups = grouped(states, pipeline.capacity)
    done = [finish(pipeline, group) for group in tqdm(groups, desc="drawing", leave=False)]
    return np.stack([state.progress.image() for group in done for state in group])


def unstarted(
    pipeline: Pipeline, requests: Sequence[ControlValues], *, sampling: Sampling | None = None, seed: int = 0
) -> list[ImageState]:
    """Return a state without slices per request, with the arguments of `samples`."""
    config = pipeline.card.config
    return [
        ImageState(
            seed=seed + i,
            controls=control_indices(config.controls, controls),
            sampling=sampling or pipeline.card.sampling,
            progress=Progress(geometry=config.geometry),
        )
        for i, controls in enumerate(requests)
    ]


def grouped(states: Sequence[ImageState], capacity: int) -> list[list[ImageState]]:
    """Return the states in groups that a pipeline of this capacity draws together."""
    return [list(states[start : start + capacity]) for start in range(0, len(states), capacity)]


def temperatures(text: str) -> Temperatures:
    """Read one number for all networks, or some by name: `base=1,size=0.7,depth=0.8`. Raises ValueError for anything else."""
    if "=" not in text:
        return Temperatures.alike(float(text))
    parts = dict(part.split("=", maxsplit=1) for part in text.split(","))
    return Temperatures(**{Stage(name).value: float(value) for name, value in parts.items()})


def finish(pipeline: Pipeline, states: list[ImageState]) -> list[ImageState]:
    """Return up to `capacity` states at the same network, advanced together to the last slice."""
    while states[0].progress.next:
        states = pipeline.advance(states)
    return states


def tiled(images: Bytes, *, columns: int, scale: int = 1) -> Bytes:
    """Return images (n, h, w, C) as one (H, W, C) sheet with white seams, each pixel `scale` x `scale`."""
    framed = np.pad(images, ((0, -len(images) % columns), (1, 1), (1, 1), (0, 0)), constant_values=255)
    sheet = rearrange(framed, "(r q) h w c -> (r h) (q w) c", q=columns)
    return sheet.repeat(scale, 0).repeat(scale, 1)
