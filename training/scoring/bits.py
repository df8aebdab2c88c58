"""Between pictures and bits/dim: bytes to the symbols of a geometry, nats to additive shares."""

from __future__ import annotations

import math

from torch import Tensor

from models.config import Geometry, Stage

BYTE = 8
"""Bits of a stored sub-pixel."""


def split(images: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Bytes (B, H, W, C) -> coarse and fine, int64; of fewer than 8 bits the geometry takes the most significant."""
    values = images.long() >> (BYTE - geometry.bits)
    return values >> geometry.fine_bits, values & ((1 << geometry.fine_bits) - 1)


def stage_share(stage: Stage, geometry: Geometry) -> float:
    """What turns mean nats per sub-pixel of a stage's slice into its additive share of bits/dim."""
    slices = sum(step.stage is stage for step in geometry.steps)
    return slices / geometry.slices / math.log(2)
