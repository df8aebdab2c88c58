"""In which numbers a device multiplies fast."""

from __future__ import annotations

from functools import cache

import torch


@cache
def fast(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU, and on processors with instructions for it; on others torch takes ninety times as long as float32."""
    supported = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - no public name
    return torch.bfloat16 if supported else torch.float32
