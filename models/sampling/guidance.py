"""Classifier-free guidance (arXiv:2207.12598) on the logits of one sub-pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def guided(sides: Sequence[Tensor], guidance: Tensor) -> Tensor:
    """Return the logits to draw from, (..., V): u + s (c - u), and c itself, bit for bit, where s is 1.

    `sides`: c, given all controls, then u, given those that stay without guidance; or c alone. `guidance`: s, (...).
    """
    given, *without = sides
    if not without:
        return given
    (free,) = without
    strength = guidance[..., None]
    return torch.where(strength == 1, given, free + strength * (given - free))
