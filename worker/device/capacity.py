"""The capacity of a worker where SPN_CAPACITY is not set.

On a CPU it is SMALLEST: more images together do not raise the throughput (docs/sampling.md). On a GPU a round of more rows
takes hardly longer until the device is busy. So the capacity is doubled while it fits in memory and still raises throughput.
What is measured is what serves: a full round of the depth network, host work included, by the backend that will serve.

On a GPU pixels depend on the capacity, so equal devices must choose the same one: it doubles, and both limits leave a wide
margin. Where a device is shared, or the workers of a model must be alike, set SPN_CAPACITY. The choice is tested; the
measurement has not run on a GPU yet.
"""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from models.pipeline import Pipeline
from worker.device.guarded_sampler import is_out_of_memory
from worker.device.rehearsal import first_states

logger = logging.getLogger(__name__)

SMALLEST, LARGEST = 16, 4096

WORTH = 1.5
"""Twice the capacity is chosen while its round takes less than this many times as long: a third more throughput."""

MEMORY_SHARE = 0.5
"""The share of free memory that boards may take; the rest is for weights, graphs and the temporary tensors of a pass."""

ROUNDS = 3
"""Rounds of a measurement; the fastest counts."""


def fitting_capacity(folder: Path, device: str, artefacts: Path | None) -> int:
    """Return the capacity for the model in `folder`, as `Pipeline.load` will serve it. Raises CheckpointError."""
    if torch.device(device).type == "cpu":
        return SMALLEST

    def seconds(capacity: int) -> float:
        return full_round_seconds(folder, device=device, artefacts=artefacts, capacity=capacity)

    return chosen_capacity(rows_that_fit(folder, device), seconds)


def chosen_capacity(most: float, round_seconds: Callable[[int], float]) -> int:
    """Return the largest capacity up to `most` that still raises throughput, doubling from SMALLEST."""
    capacity, seconds = SMALLEST, round_seconds(SMALLEST)
    while (twice := 2 * capacity) <= min(most, LARGEST) and (longer := round_seconds(twice)) < WORTH * seconds:
        capacity, seconds = twice, longer
    return capacity


def rows_that_fit(folder: Path, device: str) -> float:
    """Return how many rows the boards of all networks may have in the free memory of `device`."""
    pipeline = Pipeline.load(folder, device=device, capacity=1)
    free, _ = torch.cuda.mem_get_info(device)
    return MEMORY_SHARE * free / row_bytes(pipeline)


def row_bytes(pipeline: Pipeline) -> int:
    """Return the bytes of one row on the boards of all networks together, with both lanes where a network is guided."""
    return sum(engine.workspace.board.nbytes for engine in pipeline.engines.values()) // pipeline.capacity


def full_round_seconds(folder: Path, *, device: str, artefacts: Path | None, capacity: int) -> float:
    """Return the seconds of a full round of the depth network; infinity if it does not fit in memory."""
    try:
        seconds = round_seconds(Pipeline.load(folder, device=device, capacity=capacity, artefacts=artefacts))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        seconds = math.inf
    release_memory()
    logger.info("capacity %d: a round of the depth network takes %.1f ms", capacity, 1000 * seconds)
    return seconds


def round_seconds(pipeline: Pipeline) -> float:
    """Return the seconds of a full round of the depth network."""
    *_, state = first_states(pipeline)
    states = [replace(state, seed=seed) for seed in range(pipeline.capacity)]
    pipeline.advance(states)
    return min(timed(lambda: pipeline.advance(states)) for _ in range(ROUNDS))


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that `action` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def release_memory() -> None:
    """Return the memory of pipelines that nothing refers to any more to the device."""
    gc.collect()
    torch.cuda.empty_cache()
