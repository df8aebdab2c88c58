"""`python -m benchmarks.fixed_rounds_worker`: the worker process with random values, whose rounds take a fixed time.

So do the rounds of a device that computes a full board whatever it holds. ROUNDS in Redis counts them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import cache

import redis
import torch

from benchmarks.random_worker import RandomPipeline
from models.pipeline import ImageState
from worker.device.capacity import SMALLEST
from worker.main import serve
from worker.settings import WorkerSettings
from worker.telemetry.worker_metrics import WorkerMetrics

ROUND_SECONDS = "ROUND_SECONDS"
"""Environment variable: the seconds of a round."""

ROUNDS = "spn:benchmark:rounds"


@cache
def store() -> redis.Redis:
    """Return a client."""
    return redis.Redis.from_url(WorkerSettings().redis_url)


class FixedRounds(RandomPipeline):
    """A pipeline of random values whose rounds take a fixed time."""

    def advance(self, states: Sequence[ImageState]) -> list[ImageState]:
        """Advance each image by one slice."""
        time.sleep(float(os.environ[ROUND_SECONDS]))
        store().incr(ROUNDS)
        return super().advance(states)


def main() -> None:
    """Serve one model until a signal."""
    settings = WorkerSettings()
    torch.set_num_threads(1)
    pipeline = FixedRounds.load(settings.models / settings.model, capacity=settings.capacity or SMALLEST)
    serve(settings, pipeline, WorkerMetrics(settings.model))


if __name__ == "__main__":
    main()
