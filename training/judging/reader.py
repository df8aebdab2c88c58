"""The reader of the judge: a classifier of the glyph that was recovered from all pixels of a finished image.

It shares nothing with the verifier that selects base slices (models/verifier.py). The architecture, the input (coverage of
the whole image instead of the coarse bits of every fourth pixel) and the seed differ. So no classifier judges its own choices.
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
"""Characters that some faces draw alike, and the character that they are read as."""

ICON: Final = {Tile.CIRCLE: 0.66, Tile.ROUNDED: 0.74, Tile.SQUARE: 0.74, Tile.NONE: 1.0}
"""Side of the mask of an icon as a share of the side of the image, by tile (training/data/tiles.py).

The mask of a letter is a fifth larger.
"""

ZOOM: Final = {tile: 1.1 * share for tile, share in ICON.items()}
"""Side of the window that is read, as a share of the side of the image: between those of icons and letters."""

SIDE: Final = 64
"""Side of the window in pixels."""

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
        """Apply the block: (B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y = F.relu(self.first_norm(self.first(x)), inplace=True)
        return F.relu(self.second_norm(self.second(y)) + self.shortcut(x), inplace=True)


class Reader(nn.Module):
    """A residual network over recovered coverage.

    - A stem of two strided convolutions, then six residual blocks at 16 x 16, 8 x 8 and 4 x 4.
    - Two outputs: the label among all labels, and the class of the face of a letter.
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
        """Return logits of labels (B, n) and of faces (B, m) from glyphs (B, 1, 64, 64) in 0..1."""
        features = self.features((glyphs * 2 - 1).contiguous(memory_format=torch.channels_last))
        return self.label(features), self.face(features)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The output of a reader for n images: probabilities of every label (n, labels), and of every face class (n, faces)."""

    labels: NDArray[np.float32]
    faces: NDArray[np.float32]

    def names(self) -> list[str]:
        """Return the most probable label of each image among all letters and concepts; `ALIKE` count as one."""
        return names(self.labels)


def names(probabilities: NDArray[np.float32]) -> list[str]:
    """Return the most probable label of each row (n, labels), the probabilities of `ALIKE` added up."""
    merged = probabilities.copy()
    for value, other in ALIKE.items():
        merged[:, LABEL.values.index(other)] += merged[:, LABEL.values.index(value)]
        merged[:, LABEL.values.index(value)] = 0
    return [LABEL.values[index] for index in merged.argmax(axis=-1)]


def read_as(label: str) -> str:
    """Return the label that an image of `label` is read as: O for 0, and I for 1."""
    return ALIKE.get(label, label)


@torch.inference_mode()
def read(reader: Reader, coverages: list[Floats], tiles: list[Tile]) -> Reading:
    """Read recovered glyphs on known tiles by a reader in evaluation mode: the mean over three zooms."""
    seen = []
    for coverage, tile in zip(coverages, tiles, strict=True):
        image = small(torch.from_numpy(coverage).float()[None, None])
        glyphs = torch.cat([zoomed(image, ZOOM[tile] * view) for view in _VIEWS])
        seen.append([answer.softmax(-1).mean(0).numpy() for answer in reader(glyphs)])
    labels, faces = (np.stack(each) for each in zip(*seen, strict=True))
    return Reading(labels=labels, faces=faces)


def zoomed(images: Tensor, share: float | Tensor) -> Tensor:
    """Return the middle of images (B, 1, H, W), a `share` of their sides, one or (B,), resampled to (B, 1, 64, 64)."""
    scale = torch.as_tensor(share, dtype=images.dtype).expand(len(images))
    matrices = torch.zeros(len(images), 2, 3)
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    return sampled(images, matrices)


def small(images: Tensor) -> Tensor:
    """Return images (B, 1, H, W) above 64 pixels averaged over whole blocks to (B, 1, 64, 64)."""
    return F.avg_pool2d(images, max(1, images.shape[-1] // SIDE))


def sampled(images: Tensor, matrices: Tensor) -> Tensor:
    """Return images (B, 1, H, W) under affine maps (B, 2, 3) from output to input, zero outside: (B, 1, 64, 64)."""
    grid = F.affine_grid(matrices, [len(images), 1, SIDE, SIDE], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def _convolution(before: int, after: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
