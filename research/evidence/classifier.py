"""A small classifier of 32 x 32 images, trained anew on each source of letters."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from models.subscale import Bytes
from training.data.vocabulary import MONOGRAMS
from training.judging.reader import ALIKE

CLASSES: Final = tuple(c for c in MONOGRAMS if c not in ALIKE)
"""Characters; O and 0 are one, and so are I and 1."""


class Classifier(nn.Module):
    """A network of four convolutions: images (B, 3, 32, 32) in [-1, 1] -> logits over `CLASSES`, (B, 34)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 96, 128)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=1 if before == 3 else 2, padding=1)]  # noqa: PLR2004 - RGB
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3))
        self.last = nn.Linear(widths[-1] * 16, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits: (B, 3, 32, 32) -> (B, 34)."""
        out: Tensor = self.last(self.features(x))
        return out


def class_of(character: str) -> int:
    """Return the class of a character."""
    return CLASSES.index(ALIKE.get(character, character))


def scaled(images: Bytes) -> Tensor:
    """Scale images: (B, H, W, 3) uint8 -> (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
