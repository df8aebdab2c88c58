"""Classifier-free guidance (arXiv:2207.12598) on the logits of one sub-pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def guided(sides: Sequence[Tensor], guidance: Tensor) -> Tensor:
    """Return the guided logits, (..., V): u + s (c - u), and c itself, bit for bit, where s is 1.

    `sides`: c, conditioned on all controls, then u, without those that the card names; or c alone. `guidance`: s, (...).
    """
    conditional, *others = sides
    if not others:
        return conditional
    (unconditional,) = others
    strength = guidance[..., None]
    return torch.where(strength == 1, conditional, unconditional + strength * (conditional - unconditional))
