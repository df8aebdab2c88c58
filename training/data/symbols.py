"""The packed symbols: training pictures composed on the fly, and the frozen held-out ones. Needs numpy only."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.config import Control
from training.data.tiles import Look, Picture, box, compose
from training.data.vocabulary import CONTROLS, FAMILIES, HUE, LABEL, TILE, Family, Tile

DEFAULT: Final = Path(__file__).with_name("symbols.npz")


class Mix(StrEnum):
    """Families by what a network decides: letters are the base network's alone, detail is the upscalers'."""

    LETTERS = "letters"
    EVEN = "even"


MIXES: Final = {
    Mix.LETTERS: {
        Family.TILES: 0.21,
        Family.MONOGRAMS: 0.67,
        Family.FLUENT: 0.05,
        Family.NOTO: 0.035,
        Family.TWEMOJI: 0.035,
    },
    Mix.EVEN: {
        Family.TILES: 0.22,
        Family.MONOGRAMS: 0.22,
        Family.FLUENT: 0.22,
        Family.NOTO: 0.16,
        Family.TWEMOJI: 0.18,
    },
}
"""Share of each family. Letters are asked for most, and are hardest to get right; emoji have the most bits."""

TILE_SHARES: Final = {Tile.CIRCLE: 0.27, Tile.ROUNDED: 0.38, Tile.SQUARE: 0.17, Tile.NONE: 0.18}
"""Share of each ground among composed pictures; hues are drawn evenly."""

_MIRRORED: Final = tuple(LABEL.index(label) for label in ("emoji-animals", "emoji-food", "emoji-people"))
_SHIFT: Final = 2 / 64


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pictures with what may be asked of them."""

    images: NDArray[np.uint8]
    """(B, H, W, 3) sRGB on white."""
    controls: NDArray[np.int64]
    """(B, n_controls): 0 is any, v + 1 is values[v]; in the order of `CONTROLS`."""
    families: NDArray[np.int64]
    """(B,): ids of `FAMILIES`."""

    def first(self, count: int) -> Batch:
        """The first pictures alone."""
        return Batch(images=self.images[:count], controls=self.controls[:count], families=self.families[:count])


@dataclass(frozen=True, kw_only=True)
class Pack:
    """What the packed file holds, field by field: train drawings, and held-out pictures in a fixed shuffled order."""

    glyphs: NDArray[np.uint8]
    glyph_labels: NDArray[np.int64]
    glyph_families: NDArray[np.int64]
    glyph_concepts: NDArray[np.str_]
    emoji: NDArray[np.uint8]
    emoji_labels: NDArray[np.int64]
    emoji_hues: NDArray[np.int64]
    emoji_families: NDArray[np.int64]
    emoji_concepts: NDArray[np.str_]
    held_glyphs: NDArray[np.uint8]
    held_glyph_concepts: NDArray[np.str_]
    held_images: NDArray[np.uint8]
    held_controls: NDArray[np.int64]
    held_families: NDArray[np.int64]
    held_concepts: NDArray[np.str_]

    @classmethod
    def read(cls, path: Path) -> Pack:
        """The whole file. Raises FileNotFoundError, and KeyError where it is of another format."""
        with np.load(path) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


class Symbols:
    """A source of training batches at one picture size."""

    controls: tuple[Control, ...] = CONTROLS
    families: tuple[str, ...] = FAMILIES

    def __init__(self, pack: Pack, *, size: int, mix: Mix = Mix.LETTERS) -> None:
        self.pack = pack
        self.size = size
        self.shares = MIXES[mix]
        self._icons = np.flatnonzero(pack.glyph_families == Family.TILES)
        self._letters = [np.flatnonzero(pack.glyph_labels == label + 1) for label in range(36)]
        self._emoji = {family: np.flatnonzero(pack.emoji_families == family) for family in self.shares}

    @classmethod
    def load(cls, *, size: int, mix: Mix = Mix.LETTERS, path: Path = DEFAULT) -> Symbols:
        """The packed set, for pictures of size x size: 64, a whole fraction of it, or (composed only) above."""
        return cls(Pack.read(path), size=size, mix=mix)

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """`count` fresh training pictures, families by the mix; the same generator state gives the same pictures."""
        families = rng.choice(list(self.shares), size=count, p=list(self.shares.values()))
        rows = [self._one(rng, Family(family)) for family in families]
        return Batch(
            images=np.stack([image for image, _ in rows]),
            controls=np.array([controls for _, controls in rows], np.int64),
            families=families.astype(np.int64),
        )

    def held_out(self) -> Batch:
        """Every held-out picture, frozen, boxed down from 64; in a fixed order that mixes the families."""
        return Batch(
            images=box(self.pack.held_images, self.size),
            controls=self.pack.held_controls,
            families=self.pack.held_families,
        )

    def _one(self, rng: np.random.Generator, family: Family) -> tuple[Picture, tuple[int, int, int]]:
        if family in {Family.TILES, Family.MONOGRAMS}:
            return self._composed(rng, family)
        return self._drawn(rng, family)

    def _composed(self, rng: np.random.Generator, family: Family) -> tuple[Picture, tuple[int, int, int]]:
        """An icon, each as likely as any; or a monogram, each character as likely as any."""
        among = self._icons if family is Family.TILES else self._letters[rng.integers(len(self._letters))]
        index = rng.choice(among)
        tile = rng.choice(list(TILE_SHARES), p=list(TILE_SHARES.values()))
        look = Look(family=family, hue=HUE.values[rng.integers(len(HUE.values))], tile=Tile(tile))
        image = compose(rng, self.pack.glyphs[index], look, size=self.size)
        return image, (int(self.pack.glyph_labels[index]), HUE.index(look.hue), TILE.index(look.tile))

    def _drawn(self, rng: np.random.Generator, family: Family) -> tuple[Picture, tuple[int, int, int]]:
        """An emoji, moved by a few pixels and, where it is harmless, mirrored."""
        index = rng.choice(self._emoji[family])
        image, label = box(self.pack.emoji[index], self.size), int(self.pack.emoji_labels[index])
        if label in _MIRRORED and rng.random() < 0.5:  # noqa: PLR2004 - one in two
            image = image[:, ::-1]
        return _moved(rng, image), (label, int(self.pack.emoji_hues[index]), TILE.index(Tile.NONE))


def _moved(rng: np.random.Generator, image: Picture) -> Picture:
    """The picture shifted by whole pixels, white coming in."""
    reach = round(_SHIFT * len(image))
    down, right = rng.integers(0, 2 * reach + 1, 2)
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), constant_values=255)
    return padded[down : down + len(image), right : right + len(image)]
