"""The symbols data set: training images composed during training, and frozen held-out images. Needs numpy only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.config import Control
from training.data.masks import Masks
from training.data.tiles import COMPOSED, ImageArray, Look, box, compose
from training.data.vocabulary import CONCEPTS, CONTROLS, FAMILIES, HUE, LABEL, MONOGRAMS, TILE, Family, Tile

DEFAULT: Final = Path(__file__).with_name("symbols.npz")


class Mix(StrEnum):
    """The share of letters among training images; the others are icons."""

    BALANCED = "balanced"
    EVEN = "even"


LETTER_SHARES: Final = {Mix.BALANCED: 0.35, Mix.EVEN: 0.5}
"""Share of letters in each mix. Icons have about four times as many labels, which are harder."""

TILE_SHARES: Final = {Tile.CIRCLE: 0.27, Tile.ROUNDED: 0.38, Tile.SQUARE: 0.17, Tile.NONE: 0.18}
"""Share of each tile; hues are equally frequent."""

_MASKS: Final = ("glyphs", "held_glyphs")
_TILES: Final = tuple(TILE_SHARES)
_TILE_EDGES: Final = np.cumsum(list(TILE_SHARES.values()))[:-1]


@dataclass(frozen=True, kw_only=True)
class ImageBatch:
    """Images with their controls."""

    images: NDArray[np.uint8]
    """(B, H, W, 3) sRGB on white."""
    controls: NDArray[np.int64]
    """(B, n_controls): 0 is any, v + 1 is values[v]; columns are in the order of the controls."""
    families: NDArray[np.int64]
    """(B,): ids of the families."""

    def first(self, count: int | None) -> ImageBatch:
        """Return the first images; None: all."""
        return self.part(slice(count))

    def part(self, rows: slice) -> ImageBatch:
        """Return some of the images."""
        return ImageBatch(images=self.images[rows], controls=self.controls[rows], families=self.families[rows])


@dataclass(frozen=True, kw_only=True)
class Pack:
    """The content of the packed file: all masks with labels, and held-out images in a fixed shuffled order."""

    glyphs: Masks
    """Train drawings (n, 128, 128)."""
    glyph_labels: NDArray[np.int64]
    """Control indices of `LABEL`."""
    glyph_styles: NDArray[np.int64]
    """Control indices of `STYLE`."""
    glyph_families: NDArray[np.int64]
    glyph_sources: NDArray[np.str_]
    """Icon set or font family."""
    held_glyphs: Masks
    """Held-out drawings, all of them."""
    held_glyph_labels: NDArray[np.int64]
    held_glyph_styles: NDArray[np.int64]
    held_glyph_families: NDArray[np.int64]
    held_glyph_sources: NDArray[np.str_]
    held_images: NDArray[np.uint8]
    """Frozen images (n, 64, 64, 3) of some held-out drawings, for bits/dim."""
    held_large_images: NDArray[np.uint8]
    """The same at (n, 128, 128, 3)."""
    held_controls: NDArray[np.int64]
    held_families: NDArray[np.int64]
    held_drawings: NDArray[np.int64]
    """Which of the held-out drawings each image shows."""

    @classmethod
    def read(cls, path: Path) -> Pack:
        """Read the whole file. Raises FileNotFoundError, and KeyError for a file of another format."""
        with np.load(path) as arrays:
            plain = {name: arrays[name] for name in _names() if name not in _MASKS}
            glyphs, held = (Masks(arrays[f"{name}_packed"], arrays[f"{name}_ends"]) for name in _MASKS)
            return cls(glyphs=glyphs, held_glyphs=held, **plain)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays that `read` expects in a file, by name."""
        plain = {name: getattr(self, name) for name in _names() if name not in _MASKS}
        parts = {f"{name}_packed": getattr(self, name).packed for name in _MASKS}
        ends = {f"{name}_ends": getattr(self, name).ends for name in _MASKS}
        return parts | ends | plain


class Symbols:
    """A source of training batches at one image size."""

    controls: tuple[Control, ...] = CONTROLS
    families: tuple[str, ...] = FAMILIES

    def __init__(self, pack: Pack, *, size: int, mix: Mix = Mix.BALANCED) -> None:
        self.pack = pack
        self.size = size
        self.letter_share = LETTER_SHARES[mix]
        self._drawings = [_groups(pack, LABEL.index(value)) for value in LABEL.values]

    @classmethod
    def load(cls, *, size: int, mix: Mix = Mix.BALANCED, path: Path = DEFAULT) -> Symbols:
        """Load the packed set for images of size x size: 128 or a whole fraction of it."""
        return cls(Pack.read(path), size=size, mix=mix)

    def draw(self, rng: np.random.Generator, count: int) -> ImageBatch:
        """Return `count` new training images; equal generator states give equal images."""
        rows = [self._one(rng) for _ in range(count)]
        controls = np.array([controls for _, controls in rows], np.int64)
        return ImageBatch(
            images=np.stack([image for image, _ in rows]),
            controls=controls,
            families=np.where(controls[:, 0] > len(MONOGRAMS), Family.ICONS, Family.LETTERS).astype(np.int64),
        )

    def held_out(self) -> ImageBatch:
        """Return all held-out images, averaged down from 64 or 128 pixels, in a fixed order that mixes the families."""
        frozen = self.pack.held_images if self.size <= COMPOSED else self.pack.held_large_images
        return ImageBatch(
            images=box(frozen, self.size),
            controls=self.pack.held_controls,
            families=self.pack.held_families,
        )

    def _one(self, rng: np.random.Generator) -> tuple[ImageArray, tuple[int, int, int, int]]:
        """Draw a letter or an icon: a random label, for a letter a random style that it has, then a random drawing."""
        is_letter = rng.random() < self.letter_share
        label = int(rng.integers(len(MONOGRAMS)) if is_letter else len(MONOGRAMS) + rng.integers(len(CONCEPTS)))
        groups = self._drawings[label]
        among = groups[int(rng.integers(len(groups)))]
        index = int(among[rng.integers(len(among))])
        tile = _TILES[int(np.searchsorted(_TILE_EDGES, rng.random(), side="right"))]
        hue = HUE.values[rng.integers(len(HUE.values))]
        look = Look(family=Family.LETTERS if is_letter else Family.ICONS, hue=hue, tile=tile)
        image = compose(rng, self.pack.glyphs[index], look, size=self.size)
        style = int(self.pack.glyph_styles[index])
        return image, (label + 1, style, HUE.index(hue), TILE.index(tile))


def _groups(pack: Pack, label: int) -> list[NDArray[np.int64]]:
    """Return the train drawings of a label: those of an icon in one array, those of a letter in one array per style."""
    drawings = np.flatnonzero(pack.glyph_labels == label)
    if label > len(MONOGRAMS):
        return [drawings]
    styles = pack.glyph_styles[drawings]
    return [drawings[styles == style] for style in np.unique(styles)]


def _names() -> list[str]:
    return [field.name for field in fields(Pack)]
