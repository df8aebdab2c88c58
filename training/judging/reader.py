"""The judge's reader: what a finished image shows, told from the glyph that was recovered from all its pixels.

It shares nothing with the verifier that picks base slices (models/verifier.py): another architecture, another input (the
coverage of the whole image instead of every fourth pixel at 3 bits), another seed. So nobody marks their own work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.vocabulary import LABEL, Tile
from training.judging.glyph_recovery import Floats

ALIKE: Final = {"0": "O", "1": "I"}
"""Characters that some faces draw alike, by the one that they are read as."""

ICON: Final = {Tile.CIRCLE: 0.66, Tile.ROUNDED: 0.74, Tile.SQUARE: 0.74, Tile.NONE: 1.0}
"""Share of the picture's side that an icon's mask has, by tile (training/data/tiles.py); a letter's has a fifth more."""

ZOOM: Final = {tile: 1.1 * share for tile, share in ICON.items()}
"""Share of the picture's side that is read: between icons and letters, whichever it is."""

SIDE: Final = 64
"""Pixels along what is read."""

_VIEWS: Final = (0.94, 1.0, 1.06)
_WIDTH: Final = 32


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (arXiv:1512.03385)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first, self.first_norm = _convolution(before, after, stride), nn.BatchNorm2d(after)
        self.second, self.second_norm = _convolution(after, after, 1), nn.BatchNorm2d(after)
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = F.relu(self.first_norm(self.first(x)), inplace=True)
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x), inplace=True)


class Reader(nn.Module):
    """A residual network over recovered coverage.

    - A stem of two strided convolutions, then six residual blocks at 16 x 16, 8 x 8 and 4 x 4.
    - Two answers: the label among all labels, and the class of a letter's face.
    """

    def __init__(self, labels: int, faces: int) -> None:
        super().__init__()
        w = _WIDTH
        self.features = nn.Sequential(
            _convolution(1, w // 2, 2), nn.BatchNorm2d(w // 2), nn.ReLU(inplace=True),
            _convolution(w // 2, w, 2), nn.BatchNorm2d(w), nn.ReLU(inplace=True),
            ResidualBlock(w, w, 1), ResidualBlock(w, w, 1),
            ResidualBlock(w, 2 * w, 2), ResidualBlock(2 * w, 2 * w, 1),
            ResidualBlock(2 * w, 4 * w, 2), ResidualBlock(4 * w, 4 * w, 1),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.2),
        )  # fmt: skip
        self.label, self.face = nn.Linear(16 * w, labels), nn.Linear(16 * w, faces)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, glyphs: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 64, 64) in 0..1 -> logits of labels (B, n) and of faces (B, m)."""
        features = self.features((glyphs * 2 - 1).contiguous(memory_format=torch.channels_last))
        return self.label(features), self.face(features)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a reader sees in n pictures: probabilities of every label (n, labels), and of every face class (n, faces)."""

    labels: NDArray[np.float32]
    faces: NDArray[np.float32]

    def names(self) -> list[str]:
        """The most probable label of each picture among all labels, letters and concepts alike; `ALIKE` are one."""
        return names(self.labels)


def names(probabilities: NDArray[np.float32]) -> list[str]:
    """Return the most probable label of each row (n, labels), the probabilities of `ALIKE` added up."""
    merged = probabilities.copy()
    for value, other in ALIKE.items():
        merged[:, LABEL.values.index(other)] += merged[:, LABEL.values.index(value)]
        merged[:, LABEL.values.index(value)] = 0
    return [LABEL.values[index] for index in merged.argmax(axis=-1)]


def read_as(label: str) -> str:
    """Return a label as far as it can be told from a picture: 0 is O, and 1 is I."""
    return ALIKE.get(label, label)


@torch.inference_mode()
def read(reader: Reader, coverages: list[Floats], tiles: list[Tile]) -> Reading:
    """Return what a reader in evaluation mode sees in recovered glyphs on known tiles: the mean over three zooms."""
    seen = []
    for coverage, tile in zip(coverages, tiles, strict=True):
        image = small(torch.from_numpy(coverage).float()[None, None])
        glyphs = torch.cat([zoomed(image, ZOOM[tile] * view) for view in _VIEWS])
        seen.append([answer.softmax(-1).mean(0).numpy() for answer in reader(glyphs)])
    labels, faces = (np.stack(each) for each in zip(*seen, strict=True))
    return Reading(labels=labels, faces=faces)


def zoomed(images: Tensor, share: float | Tensor) -> Tensor:
    """The middle of images (B, 1, H, W), a `share` of their sides, one or (B,), resampled to (B, 1, 64, 64)."""
    scale = torch.as_tensor(share, dtype=images.dtype).expand(len(images))
    matrices = torch.zeros(len(images), 2, 3)
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    return sampled(images, matrices)


def small(images: Tensor) -> Tensor:
    """Images (B, 1, H, W) above 64 pixels averaged over whole blocks to (B, 1, 64, 64)."""
    return F.avg_pool2d(images, max(1, images.shape[-1] // SIDE))


def sampled(images: Tensor, matrices: Tensor) -> Tensor:
    """Images (B, 1, H, W) under affine maps (B, 2, 3) from where to where to look, zero outside: (B, 1, 64, 64)."""
    grid = F.affine_grid(matrices, [len(images), 1, SIDE, SIDE], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def _convolution(before: int, after: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
