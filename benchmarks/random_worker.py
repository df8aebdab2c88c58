"""`python -m benchmarks.random_worker`: the worker process as it is, but its slices are random numbers, at no cost.

For figures of all that is around the networks: hundreds of jobs can be in flight on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from models.pipeline import ImageState, Pipeline, next_step
from worker.device.capacity import LADDER
from worker.main import serve
from worker.settings import WorkerSettings
from worker.telemetry.worker_metrics import WorkerMetrics


class RandomPipeline(Pipeline):
    """A pipeline whose networks are loaded and never asked."""

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """One slice further each."""
        return [replace(state, progress=state.progress.with_slice(self.painted(state))) for state in states]

    def painted(self, state: ImageState) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """A slice of random values, the same for the same state."""
        geometry = self.card.config.geometry
        random = np.random.default_rng((state.seed, state.progress.done))
        bits = geometry.target_bits(next_step(state).stage)
        return random.integers(0, 1 << bits, geometry.slice_shape, dtype=np.uint8)


def main() -> None:
    """Serve one model until told to stop."""
    settings = WorkerSettings()
    torch.set_num_threads(1)
    painter = RandomPipeline.load(settings.models / settings.model, capacity=settings.capacity or LADDER[0])
    serve(settings, painter, WorkerMetrics(settings.model))


if __name__ == "__main__":
    main()
