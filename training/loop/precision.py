"""The number format in which a device multiplies fastest."""

from __future__ import annotations

import time
from functools import cache

import torch

_SIDE = 512
_TRIES = 5


@cache
def fast(device: torch.device) -> torch.dtype:
    """Return bfloat16 on a GPU, and on a processor with instructions for it the faster format by measurement.

    With the instructions bfloat16 was measured at three times the speed of float32 on one machine, and at half on another.
    Without them it is never measured: some products are as fast and others take ten times as long.
    """
    if device.type == "cuda":
        return torch.bfloat16
    if not torch.cpu.get_capabilities().get("avx512_bf16"):
        return torch.float32
    return min((torch.bfloat16, torch.float32), key=seconds)


def seconds(dtype: torch.dtype) -> float:
    """Return the shortest time of a few products of two square matrices on a processor."""
    matrix = torch.ones(_SIDE, _SIDE, dtype=dtype)
    return min(_timed(matrix) for _ in range(_TRIES))


def _timed(matrix: torch.Tensor) -> float:
    begun = time.perf_counter()
    matrix @ matrix.T
    return time.perf_counter() - begun
