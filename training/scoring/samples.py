"""Pictures drawn from a model for a list of requests: what sheets show and judges look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
"""Where compiled code is kept."""

ControlValues = Mapping[str, str]
"""Controls by name; what is not named is not asked for."""


def compiled_pipeline(networks: nn.ModuleDict, card: ModelCard, *, capacity: int = 16) -> Pipeline:
    """A pipeline with compiled engines where that can be, kept in `PASSES`."""
    return Pipeline(networks, card, capacity=capacity, backend=Fastest(PASSES))


def samples(
    pipeline: Pipeline, asked: Sequence[ControlValues], *, sampling: Sampling | None = None, seed: int = 0
) -> Bytes:
    """Return one picture per entry of `asked`, seeds counting from `seed`: (n, H, W, C) uint8, full range.

    `sampling`: the card's if not given.
    """
    config = pipeline.card.config
    states = [
        ImageState(
            seed=seed + i,
            controls=control_indices(config.controls, controls),
            sampling=sampling or pipeline.card.sampling,
            progress=Progress(geometry=config.geometry),
        )
        for i, controls in enumerate(asked)
    ]
    starts = range(0, len(states), pipeline.capacity)
    groups = [states[start : start + pipeline.capacity] for start in starts]
    done = [finish(pipeline, group) for group in tqdm(groups, desc="drawing", leave=False)]
    return np.stack([state.progress.picture() for group in done for state in group])


def temperatures(text: str) -> Temperatures:
    """Read one number for all networks, or some by name: `base=1,size=0.7,depth=0.8`. Raises ValueError for anything else."""
    if "=" not in text:
        return Temperatures.alike(float(text))
    parts = dict(part.split("=", maxsplit=1) for part in text.split(","))
    return Temperatures(**{Stage(name).value: float(value) for name, value in parts.items()})


def finish(pipeline: Pipeline, states: list[ImageState]) -> list[ImageState]:
    """Up to `capacity` states that stand at one network, advanced together to the last slice."""
    while states[0].progress.next:
        states = pipeline.advance(states)
    return states


def tiled(pictures: Bytes, *, columns: int, scale: int = 1) -> Bytes:
    """Pictures (n, h, w, C) as one (H, W, C) sheet with white seams, each pixel `scale` x `scale`."""
    framed = np.pad(pictures, ((0, -len(pictures) % columns), (1, 1), (1, 1), (0, 0)), constant_values=255)
    sheet = rearrange(framed, "(r q) h w c -> (r h) (q w) c", q=columns)
    return sheet.repeat(scale, 0).repeat(scale, 1)
