"""Masks bent, blurred and made noisy, a batch at a time, like glyphs that were recovered from generated images."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.judging.reader import ZOOM, zoomed

_SHARES: Final = tuple(ZOOM.values())
_KNOTS: Final = 7


def bent(rng: np.random.Generator, masks: Tensor) -> Tensor:
    """Return masks (B, 1, 64, 64) in 0..1 with random distortions, equal for an equal generator state.

    They are bolder or lighter; stretched, sheared, turned and waved; resampled from the size on a tile; soft; noisy.
    """
    share = _chosen(rng, masks, _SHARES)
    grid = F.affine_grid(_maps(rng, len(masks)) / share[:, None, None], list(masks.shape), align_corners=False)
    placed = F.grid_sample(_weighed(rng, masks), grid + _waves(rng, masks), align_corners=False)
    soft = F.avg_pool2d(placed, 3, 1, 1)
    blurred = torch.lerp(placed, soft, _uniform(rng, masks, 0.0, 1.0).clamp(min=0.4).sub(0.4).view(-1, 1, 1, 1))
    noise = _normal(rng, placed.shape) * _exponential(rng, masks, 0.03).view(-1, 1, 1, 1)
    return zoomed((blurred + noise).clamp(0, 1), share * _uniform(rng, masks, 0.94, 1.06))


def _maps(rng: np.random.Generator, count: int) -> Tensor:
    """Return affine maps (B, 2, 3) near the identity."""
    stretch, size = rng.normal(0, 0.08, count), rng.uniform(-0.12, 0.12, count)
    turn, shear = rng.normal(0, 0.06, count), rng.normal(0, 0.08, count)
    maps = np.zeros((count, 2, 3))
    maps[:, 0, 0], maps[:, 1, 1] = np.exp(size + stretch), np.exp(size - stretch)
    maps[:, 0, 1], maps[:, 1, 0] = turn + shear, -turn
    maps[:, :, 2] = rng.uniform(-0.08, 0.08, (count, 2))
    return torch.from_numpy(maps).float()


def _waves(rng: np.random.Generator, masks: Tensor) -> Tensor:
    """Return a smooth displacement (B, 64, 64, 2) per image, stronger for some."""
    knots = _normal(rng, (len(masks), 2, _KNOTS, _KNOTS)) * _exponential(rng, masks, 0.02).view(-1, 1, 1, 1)
    field = F.interpolate(knots, masks.shape[-2:], mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)


def _weighed(rng: np.random.Generator, masks: Tensor) -> Tensor:
    """Make a fifth of the masks bolder and a fifth lighter, by up to a pixel all around."""
    bold, light = F.max_pool2d(masks, 3, 1, 1), -F.max_pool2d(-masks, 3, 1, 1)
    kind, how = _uniform(rng, masks, 0, 1).view(-1, 1, 1, 1), _uniform(rng, masks, 0, 1).view(-1, 1, 1, 1)
    other = torch.where(kind < 0.2, bold, torch.where(kind < 0.4, light, masks))  # noqa: PLR2004 - fifths
    return torch.lerp(masks, other, how)


def _chosen(rng: np.random.Generator, masks: Tensor, among: tuple[float, ...]) -> Tensor:
    return torch.from_numpy(rng.choice(among, len(masks))).float()


def _uniform(rng: np.random.Generator, masks: Tensor, low: float, high: float) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, len(masks))).float()


def _exponential(rng: np.random.Generator, masks: Tensor, mean: float) -> Tensor:
    return torch.from_numpy(rng.exponential(mean, len(masks))).float()


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, np.float32))
