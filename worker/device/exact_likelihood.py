"""Scores: the exact likelihood of given images, one slice for each image at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import ConfigError, NotFiniteError
from models.pipeline import Pipeline
from worker.jobs.score_state import ScoreState


def scored(pipeline: Pipeline, states: Sequence[ScoreState]) -> list[ScoreState]:
    """Return the states with the bits of one slice more. Raises ConfigError for a complete one, NotFiniteError.

    Each image is computed alone, on a CPU in a thread of its own, so that its bits do not depend on the others.
    """
    bits = pipeline.threads.map(partial(bits_of_next, pipeline), states)
    return [replace(state, progress=state.progress.with_slice(each)) for state, each in zip(states, bits, strict=True)]


@torch.inference_mode()
def bits_of_next(pipeline: Pipeline, state: ScoreState) -> NDArray[np.float32]:
    """Return -log2 p of each sub-pixel of the next slice, (h, w, C): one teacher-forced pass of its network in float32."""
    likelihood, device = state.progress, pipeline.device
    if (step := likelihood.next) is None:
        msg = "the likelihood is complete; it has no next slice"
        raise ConfigError(msg)
    coarse, fine = (torch.from_numpy(part)[None].long().to(device) for part in likelihood.given.values)
    k, controls = torch.tensor([step.slice], device=device), torch.tensor([state.controls], device=device)
    nats = pipeline.network(step.stage)(coarse, fine, k, controls)
    bits: NDArray[np.float32] = (nats / math.log(2)).float().cpu().numpy().reshape(likelihood.geometry.slice_shape)
    if not np.isfinite(bits).all():
        msg = f"{step.stage}: a likelihood is not a finite number"
        raise NotFiniteError(msg)
    return bits
