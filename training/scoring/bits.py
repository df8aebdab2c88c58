"""Conversions for bits/dim: bytes to the symbols of a geometry, nats to additive shares."""

from __future__ import annotations

import math

from torch import Tensor

from models.config import Geometry, Stage

BYTE = 8
"""Bits of a stored sub-pixel."""


def split(images: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Return coarse and fine symbols, int64, of bytes (B, H, W, C). A geometry of fewer bits has the most significant ones."""
    values = images.long() >> (BYTE - geometry.bits)
    return values >> geometry.fine_bits, values & ((1 << geometry.fine_bits) - 1)


def stage_share(stage: Stage, geometry: Geometry) -> float:
    """Return the factor from mean nats per sub-pixel of the slices of a stage to its additive share of bits/dim."""
    slices = sum(step.stage is stage for step in geometry.steps)
    return slices / geometry.slices / math.log(2)
