"""`python -m benchmarks.random_worker`: the worker process with random numbers as slices, at no cost.

It measures everything except the networks: hundreds of jobs can be in flight on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from models.pipeline import ImageState, Pipeline
from models.subscale import Progress
from worker.device.capacity import SMALLEST
from worker.main import serve
from worker.settings import WorkerSettings
from worker.telemetry.worker_metrics import WorkerMetrics


class RandomPipeline(Pipeline):
    """A pipeline whose networks are loaded and never used."""

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """Advance each image by one slice."""
        return [replace(state, progress=with_random_slice(state.progress, state.seed)) for state in states]


def with_random_slice(progress: Progress, seed: int) -> Progress:
    """Return the image with its next slice: random values, equal for equal seeds."""
    if (step := progress.next) is None:
        return progress
    random, geometry = np.random.default_rng((seed, progress.done)), progress.geometry
    values = random.integers(0, 1 << geometry.target_bits(step.stage), geometry.slice_shape, dtype=np.uint8)
    return progress.with_slice(values)


def main() -> None:
    """Serve one model until a signal."""
    settings = WorkerSettings()
    torch.set_num_threads(1)
    pipeline = RandomPipeline.load(settings.models / settings.model, capacity=settings.capacity or SMALLEST)
    serve(settings, pipeline, WorkerMetrics(settings.model))


if __name__ == "__main__":
    main()
