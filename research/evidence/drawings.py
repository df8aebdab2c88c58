"""The drawings that images show: glyphs recovered from their tiles and colours, by which images are compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.subscale import Bytes
from training.data.vocabulary import LABEL, MONOGRAMS, Tile
from training.judging.copies import Thumbnails, thumbnail
from training.judging.glyph_recovery import Floats, recover
from training.judging.looks import tile_of
from training.judging.reader import ZOOM, Reader, read, read_as, small, zoomed

Labels = NDArray[np.int64]
"""Positions in `LABEL.values`."""

KINDS = ("letters", "concepts")

FAINT = 0.06
"""Coverage up to this is none, and as near to 1 it is full. So the steps of a ground at five bits are no ink."""


@dataclass(frozen=True, kw_only=True)
class Drawings:
    """Glyphs of n images: `coverages` in 0..1, the tiles that they were on, and the `labels` (n,) that they should show."""

    coverages: list[Floats]
    tiles: list[Tile]
    labels: Labels

    @classmethod
    def of(cls, images: Bytes, labels: Labels) -> Drawings:
        """Return the drawings that images (n, H, W, 3) show."""
        tiles = [tile_of(image) for image in images]
        coverages = [recover(image, tile).coverage for image, tile in zip(images, tiles, strict=True)]
        return cls(coverages=coverages, tiles=tiles, labels=labels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def letters(self) -> NDArray[np.bool_]:
        """Which of them should show a letter or a digit: (n,)."""
        return self.labels < len(MONOGRAMS)

    def of_kind(self, kind: str) -> NDArray[np.bool_]:
        """Return which of them are of one of `KINDS`: (n,)."""
        return self.letters if kind == KINDS[0] else ~self.letters

    @cached_property
    def thumbnails(self) -> Thumbnails:
        """Glyphs centred and of equal spread: (n, 256) in 0..255."""
        return thumbnails_of(self.coverages)

    @cached_property
    def windows(self) -> Tensor:
        """Glyphs at the size at which a reader sees them: (n, 1, 64, 64) in 0..1."""
        glyphs = [small(torch.from_numpy(coverage).float()[None, None]) for coverage in self.coverages]
        return torch.cat([zoomed(glyph, ZOOM[tile]) for glyph, tile in zip(glyphs, self.tiles, strict=True)])

    def read_by(self, reader: Reader) -> NDArray[np.bool_]:
        """Return which of them a reader of the judge reads as their label: (n,)."""
        return correct(read(reader, self.coverages, self.tiles).names(), self.labels)


def correct(names: Sequence[str], labels: Labels) -> NDArray[np.bool_]:
    """Return which names are right; O and 0 are one label, and so are I and 1."""
    return np.array([name == read_as(LABEL.values[label]) for name, label in zip(names, labels, strict=True)])


def thumbnails_of(coverages: Iterable[Floats]) -> Thumbnails:
    """Return glyphs (H, W) in 0..1 without faint ink, centred and of equal spread: (n, 256) in 0..255."""
    return np.stack([thumbnail(np.clip((each - FAINT) / (1 - 2 * FAINT), 0, 1)) for each in coverages])


def distances(some: Thumbnails, others: Thumbnails) -> NDArray[np.float32]:
    """Return the mean absolute difference of each pair: (n, m) in 0..255."""
    return np.stack([np.abs(others - each).mean(axis=1) for each in some])
