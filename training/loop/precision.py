"""In which numbers a device multiplies fast."""

from __future__ import annotations

import time
from functools import cache

import torch

_SIDE = 512
_TRIES = 5


@cache
def fast(device: torch.device) -> torch.dtype:
    """Return bfloat16 on a GPU; on a processor with instructions for it, whichever of both a stopwatch finds faster.

    The instructions alone do not tell: bfloat16 was measured at three times the speed of float32 with them, and at half.
    Without them some products keep up and others take ten times as long, so that a stopwatch on one would mislead.
    """
    if device.type == "cuda":
        return torch.bfloat16
    if not torch.cpu.get_capabilities().get("avx512_bf16"):
        return torch.float32
    return min((torch.bfloat16, torch.float32), key=seconds)


def seconds(dtype: torch.dtype) -> float:
    """Of a product of two square matrices on a processor, the least of a few tries."""
    matrix = torch.ones(_SIDE, _SIDE, dtype=dtype)
    return min(_timed(matrix) for _ in range(_TRIES))


def _timed(matrix: torch.Tensor) -> float:
    begun = time.perf_counter()
    matrix @ matrix.T
    return time.perf_counter() - begun
