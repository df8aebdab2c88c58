"""The rehearsal: rounds before the first job, so that an estimate exists and a model that does not run is found at once.

The cost of a full round does not follow from rounds of one row, nor the reverse, and jobs may queue before either was measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from models.config import LABEL, Stage
from models.pipeline import ImageState, Pipeline, next_step
from models.subscale import Progress
from worker.device.guarded_sampler import is_out_of_memory
from worker.errors import BoardTooLargeError, StartError
from worker.jobs.live_job import state_lanes

if TYPE_CHECKING:
    from worker.telemetry.pace_estimator import PaceEstimator


def rehearse(pipeline: Pipeline, pace: PaceEstimator) -> None:
    """Run one row and a full round of each network, and let `pace` learn their times. Raises StartError, BoardTooLargeError.

    Guidance and candidates are the model's defaults, so a base round costs as much as that of most jobs. With symbols-64 all
    of it takes a quarter of a second.
    """
    try:
        for state in first_states(pipeline):
            rehearse_network(pipeline, pace, state)
    except Exception as error:
        if is_out_of_memory(error):
            raise BoardTooLargeError(str(error)) from error
        raise StartError(f"{pipeline.card.name} does not run on this device: {error!r}") from error
    pace.write()


def rehearse_network(pipeline: Pipeline, pace: PaceEstimator, state: ImageState) -> None:
    """Run rounds of images like `state`. The first one only fills the machine's caches, and does not count."""
    stage, lanes = next_step(state).stage, state_lanes(state, pipeline.card)
    pipeline.advance([state])
    for rows in (1, max(1, pipeline.capacity // lanes)):
        states = [replace(state, seed=seed) for seed in range(rows)]
        started = time.perf_counter()
        pipeline.advance(states)
        pace.round(stage, lanes=rows * lanes, seconds=time.perf_counter() - started)


def first_states(pipeline: Pipeline) -> Iterator[ImageState]:
    """Yield an image before the first slice of each network, with a label, so that it has the default candidates.

    All slices that it already has are copies of one base slice.
    """
    card = pipeline.card
    geometry, controls = card.config.geometry, tuple(int(c.name == LABEL) for c in card.config.controls)
    blank = ImageState(seed=0, controls=controls, sampling=card.sampling, progress=Progress(geometry=geometry))
    first = pipeline.advance([blank])[0].progress.slices
    stages: Sequence[Stage] = [step.stage for step in geometry.steps]
    for stage in geometry.stages:
        yield replace(blank, progress=replace(blank.progress, slices=first * stages.index(stage)))
