"""A rehearsal: rounds drawn for nobody, before the first job.

What a full round costs cannot be told from rounds of one row, nor the reverse, and a queue may come before either was seen.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from models.config import LABEL, Stage
from models.pipeline import ImageState, Pipeline, next_step
from models.subscale import Progress
from worker.jobs.live_job import state_lanes

if TYPE_CHECKING:
    from worker.telemetry.pace_estimator import PaceKeeper

logger = logging.getLogger(__name__)


def rehearse(pipeline: Pipeline, pace: PaceKeeper) -> None:
    """Draw one row and a full round at each network, and let `pace` learn. Never raises: where that fails, jobs will find out.

    With the model's default guidance and candidates: a base round is as dear as those of most jobs are going to be.

    Of symbols-64 it takes a quarter of a second.
    """
    try:
        for state in openings(pipeline):
            rehearse_network(pipeline, pace, state)
    except Exception:
        logger.exception("the rehearsal broke off")
    pace.write()


def rehearse_network(pipeline: Pipeline, pace: PaceKeeper, state: ImageState) -> None:
    """With pictures like `state`. The first round is for the caches of the machine, and does not count."""
    stage, lanes = next_step(state).stage, state_lanes(state, pipeline.card)
    pipeline.advance([state])
    for rows in (1, max(1, pipeline.capacity // lanes)):
        states = [replace(state, seed=seed) for seed in range(rows)]
        began = time.perf_counter()
        pipeline.advance(states)
        pace.round(stage, lanes=rows * lanes, seconds=time.perf_counter() - began)


def openings(pipeline: Pipeline) -> Iterator[ImageState]:
    """A picture in front of the first slice of each network, with a label, so that it has the candidates of a default request.

    Its slices so far are all like its first.
    """
    card = pipeline.card
    geometry, controls = card.config.geometry, tuple(int(c.name == LABEL) for c in card.config.controls)
    blank = ImageState(seed=0, controls=controls, sampling=card.sampling, progress=Progress(geometry=geometry))
    first = pipeline.advance([blank])[0].progress.slices
    stages: Sequence[Stage] = [step.stage for step in geometry.steps]
    for stage in geometry.stages:
        yield replace(blank, progress=replace(blank.progress, slices=first * stages.index(stage)))
