"""In which numbers a device multiplies fast."""

from __future__ import annotations

import time
from functools import cache

import torch

_SIDE = 512
_TRIES = 5


@cache
def fast(device: torch.device) -> torch.dtype:
    """Return bfloat16 on a GPU, and on a processor the dtype that it multiplies faster, by a stopwatch.

    A processor's list of instructions does not tell. bfloat16 was measured at three times the speed of float32, at half of it
    where the instructions exist but are slow, and at a ninetieth without them.
    """
    if device.type == "cuda":
        return torch.bfloat16
    return min((torch.bfloat16, torch.float32), key=seconds)


def seconds(dtype: torch.dtype) -> float:
    """Of a product of two square matrices on a processor, the least of a few tries."""
    matrix = torch.ones(_SIDE // 8 if slow(dtype) else _SIDE, _SIDE, dtype=dtype)
    return min(_timed(matrix) for _ in range(_TRIES)) / len(matrix)


def slow(dtype: torch.dtype) -> bool:
    """Whether even the trial would take long."""
    return dtype is torch.bfloat16 and not torch.cpu.get_capabilities().get("avx512_bf16")


def _timed(matrix: torch.Tensor) -> float:
    begun = time.perf_counter()
    matrix @ matrix.T
    return time.perf_counter() - begun
