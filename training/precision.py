"""In which numbers a device multiplies fast."""

from __future__ import annotations

from functools import cache

import torch


@cache
def fast(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU, and on processors with instructions for it; on others torch takes ninety times as long as float32."""
    can = torch.cpu.get_capabilities()
    supported = device.type == "cuda" or can.get("avx512_bf16") or can.get("bf16")  # the latter as ARM names it
    return torch.bfloat16 if supported else torch.float32
