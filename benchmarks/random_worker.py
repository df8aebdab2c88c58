"""`python -m benchmarks.random_worker`: the worker process with random numbers as slices, at no cost.

It measures everything except the networks: hundreds of jobs can be in flight on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from models.pipeline import ImageState, Pipeline, next_step
from worker.device.capacity import SMALLEST
from worker.main import serve
from worker.settings import WorkerSettings
from worker.telemetry.worker_metrics import WorkerMetrics


class RandomPipeline(Pipeline):
    """A pipeline whose networks are loaded and never used."""

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """Advance each image by one slice."""
        return [replace(state, progress=state.progress.with_slice(self.random_slice(state))) for state in states]

    def random_slice(self, state: ImageState) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Return a slice of random values, equal for equal states."""
        geometry = self.card.config.geometry
        random = np.random.default_rng((state.seed, state.progress.done))
        bits = geometry.target_bits(next_step(state).stage)
        return random.integers(0, 1 << bits, geometry.slice_shape, dtype=np.uint8)


def main() -> None:
    """Serve one model until a signal."""
    settings = WorkerSettings()
    torch.set_num_threads(1)
    pipeline = RandomPipeline.load(settings.models / settings.model, capacity=settings.capacity or SMALLEST)
    serve(settings, pipeline, WorkerMetrics(settings.model))


if __name__ == "__main__":
    main()
