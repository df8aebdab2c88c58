"""What this machine can do at most: matrix products and reading weights, by torch's own kernels."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchmarks.clock import alternating

SIDE = 1024
LOOPS = 20


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Ceilings in the dtype of serving, float32."""

    threads: int
    capability: str
    flops_per_second: float
    bytes_per_second: float


def measured(weight_bytes: int) -> Machine:
    """Square products of `SIDE`; reading a buffer as large as a network's weights again and again."""
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
