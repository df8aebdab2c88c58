"""A worker whose every round takes a while, so that a person, or a browser on a busy machine, sees it at work."""

from __future__ import annotations

import time
from collections.abc import Sequence

from models.pipeline import ImageState, Pipeline
from worker.main import serve
from worker.settings import WorkerSettings
from worker.telemetry.worker_metrics import WorkerMetrics

ROUND_SECONDS = 0.15
CAPACITY = 4


class Slow(Pipeline):
    """Draws as any pipeline, after a pause."""

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """As Pipeline.advance."""
        time.sleep(ROUND_SECONDS)
        return super().advance(states)


if __name__ == "__main__":
    settings = WorkerSettings()
    serve(settings, Slow.load(settings.models / settings.model, capacity=CAPACITY), WorkerMetrics(settings.model))
