"""The capacity and the threads of a worker where SPN_CAPACITY and SPN_THREADS are not set.

On a CPU the capacity is 16: more images together do not raise the throughput (docs/sampling.md). On a GPU a pass of more
tokens takes hardly longer until the device is busy. So the capacity is the largest one of a ladder that fits in memory and
still raises throughput. On a GPU pixels depend on the capacity, so equal devices must choose the same one: the rungs are far
apart, and both limits leave a wide margin. Where a device is shared, or the workers of a model must be alike, set SPN_CAPACITY.

The choice is tested. The measurement of a GPU has not run on one yet.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from models.config import Stage
from models.network import Network
from models.pipeline import Pipeline
from models.sampling.backends.eager import EagerBackend
from models.sampling.backends.graph import recorded
from models.sampling.workspace import Workspace

logger = logging.getLogger(__name__)

LADDER = (16, 32, 64, 128, 256)

WORTH = 1.5
"""A rung is chosen while its pass takes less than this many times that of the rung below: a third more throughput."""

MEMORY_SHARE = 0.5
"""The share of free memory that boards may take; the rest is for weights, graphs and the temporary tensors of a pass."""

PASSES = 50
"""Passes of a measurement."""

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> float:
    """Return how many cores this process may use: its affinity, or a container's quota if that is less."""
    allowed = float(len(os.sched_getaffinity(0)))
    quota, period = QUOTA.read_text().split() if QUOTA.is_file() else ("max", "1")
    return allowed if quota == "max" else min(allowed, int(quota) / int(period))


def whole_cores() -> int:
    """Return the number of whole cores that this process may use, at least one."""
    return max(1, int(cores()))


def chosen_capacity(rows_that_fit: float, pass_seconds: Callable[[int], float]) -> int:
    """Return the largest capacity in LADDER that fits in memory and still raises throughput."""
    chosen, *higher = LADDER
    seconds = pass_seconds(chosen)
    for rung in higher:
        if rung > rows_that_fit or (longer := pass_seconds(rung)) > WORTH * seconds:
            break
        chosen, seconds = rung, longer
    return chosen


def fitting_capacity(folder: Path, device: str) -> int:
    """Return the capacity for the model in `folder`. Raises CheckpointError."""
    if torch.device(device).type == "cpu":
        return LADDER[0]
    pipeline = Pipeline.load(folder, device=device, capacity=LADDER[0])
    free, _ = torch.cuda.mem_get_info(device)
    with torch.cuda.device(device), torch.inference_mode():
        rows = MEMORY_SHARE * free / row_bytes(pipeline)
        return chosen_capacity(rows, lambda rung: graph_seconds(pipeline.network(Stage.DEPTH), rung))


def row_bytes(pipeline: Pipeline) -> int:
    """Return the bytes of one row on the boards of all networks together, with both lanes where a network is guided."""
    return sum(engine.workspace.board.nbytes for engine in pipeline.engines.values()) // pipeline.capacity


def graph_seconds(network: Network, capacity: int) -> float:
    """Return the seconds of a pass as a CUDA graph, not compiled: that would take minutes for each rung."""
    backend = EagerBackend(Workspace.of(network, rows=capacity))
    replay, _ = recorded(backend.step, backend.board)
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(PASSES):
        replay()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - started) / PASSES
    logger.info("a pass of %d tokens takes %.2f ms", capacity, 1000 * seconds)
    return seconds
