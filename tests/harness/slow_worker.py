"""A worker whose rounds take a while and nothing else, so that a browser on a busy machine sees it at work."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.random_worker import RandomPipeline
from models.pipeline import ImageState
from worker.main import serve
from worker.settings import WorkerSettings
from worker.telemetry.worker_metrics import WorkerMetrics

ROUND_SECONDS = 0.1
CAPACITY = 4


class Slow(RandomPipeline):
    """Random slices, after a pause."""

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """As Pipeline.advance."""
        time.sleep(ROUND_SECONDS)
        return super().advance(states)


if __name__ == "__main__":
    settings = WorkerSettings()
    serve(settings, Slow.load(settings.models / settings.model, capacity=CAPACITY), WorkerMetrics(settings.model))
