"""The limits of this machine: matrix products and reading of weights, by the kernels of torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchmarks.clock import alternating

SIDE = 1024
LOOPS = 20


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The limits in float32."""

    threads: int
    capability: str
    flops_per_second: float
    bytes_per_second: float


def measured(weight_bytes: int) -> Machine:
    """Measure square products of `SIDE`, and repeated reading of a buffer of the size of the weights of a network."""
    left, right, weights = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE), torch.randn(weight_bytes // 4)
    seconds = alternating(
        {
            "products": lambda: [left @ right for _ in range(LOOPS)],
            "reads": lambda: [weights.sum() for _ in range(LOOPS)],
        },
        repeats=7,
    )
    return Machine(
        threads=torch.get_num_threads(),
        capability=torch.backends.cpu.get_cpu_capability(),
        flops_per_second=LOOPS * 2 * SIDE**3 / seconds["products"],
        bytes_per_second=LOOPS * weight_bytes / seconds["reads"],
    )
