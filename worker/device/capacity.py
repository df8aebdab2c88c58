"""How many pictures a worker draws together where SPN_CAPACITY and SPN_THREADS do not say.

On a CPU 16: more at a time are no more a second there (docs/sampling.md). On a GPU a pass of more tokens takes hardly longer
until the device is busy, so the largest rung of a ladder that its memory holds and that is still worth it. There pixels depend
on the capacity, so equal devices must come to the same one: the rungs are far apart, and both limits leave a wide margin. Where
a device is shared, or workers of one model must be alike for certain, set SPN_CAPACITY.

The choice is tested; what measures a GPU has been run on none, because none was at hand.
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
"""A rung is taken while its pass lasts less than this times that of the rung below: a third more pictures a second."""

MEMORY_SHARE = 0.5
"""Of the free memory, for boards; the rest is for weights, graphs and what a pass needs in between."""

PASSES = 50


QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> float:
    """How many this process may use: its affinity, and a container's quota where there is one."""
    allowed = float(len(os.sched_getaffinity(0)))
    quota, period = QUOTA.read_text().split() if QUOTA.is_file() else ("max", "1")
    return allowed if quota == "max" else min(allowed, int(quota) / int(period))


def whole_cores() -> int:
    """A thread for each."""
    return max(1, int(cores()))


def chosen_capacity(rows_that_fit: float, pass_seconds: Callable[[int], float]) -> int:
    """The rung of the ladder; measures no rung that does not fit, and none above the first that is not worth it."""
    chosen, *higher = LADDER
    seconds = pass_seconds(chosen)
    for rung in higher:
        if rung > rows_that_fit or (longer := pass_seconds(rung)) > WORTH * seconds:
            break
        chosen, seconds = rung, longer
    return chosen


def fitting_capacity(folder: Path, device: str) -> int:
    """For the model in `folder`. Raises CheckpointError."""
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
    """One pass as a CUDA graph, not compiled: that would take minutes a rung. Any board does, a pass has one shape."""
    backend = EagerBackend(Workspace.of(network, rows=capacity))
    replay, _ = recorded(backend.step, backend.board)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(PASSES):
        replay()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - begun) / PASSES
    logger.info("a pass of %d tokens: %.2f ms", capacity, 1000 * seconds)
    return seconds
