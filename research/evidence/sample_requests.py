"""What is asked of a model, and the real pictures that answer the same requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.subscale import Bytes
from research.evidence.contestants import SIZE
from training.data.symbols import TILE_SHARES, Symbols
from training.data.tiles import Look, compose
from training.data.vocabulary import HUE, MONOGRAMS, TILE, Family, Tile

LETTERS: Final = 5000
GLYPHS: Final = 1000


@dataclass(frozen=True, kw_only=True)
class SampleRequests:
    """`controls` (n, 4) int64, one picture each; `real` (n, 32, 32, 3) shows training drawings as they were asked for.

    `drawings`: which training drawing each real picture shows.
    """

    name: str
    controls: NDArray[np.int64]
    real: Bytes
    drawings: NDArray[np.int64]

    def first(self, count: int) -> SampleRequests:
        """The first `count` of them."""
        return replace(self, controls=self.controls[:count], real=self.real[:count], drawings=self.drawings[:count])


def letters(data: Symbols, count: int = LETTERS) -> SampleRequests:
    """Monograms, characters in turn, on any tile in any hue, as often as in training."""
    rng = np.random.default_rng(1)
    labels = np.arange(count) % len(MONOGRAMS) + 1
    drawings = np.array([rng.choice(np.flatnonzero(data.pack.glyph_labels == label)) for label in labels])
    tiles = rng.choice(list(TILE_SHARES), count, p=list(TILE_SHARES.values()))
    return composed("letters", data, rng, drawings, [Tile(tile) for tile in tiles])


def glyphs(data: Symbols, count: int = GLYPHS) -> SampleRequests:
    """Glyphs alone on white, so that their masks can be told: half monograms, half icons."""
    rng = np.random.default_rng(2)
    families = np.arange(count) % 2
    of_family = [np.flatnonzero(data.pack.glyph_families == family) for family in (Family.LETTERS, Family.ICONS)]
    drawings = np.array([rng.choice(of_family[family]) for family in families])
    return composed("glyphs", data, rng, drawings, [Tile.NONE] * count)


def composed(
    name: str, data: Symbols, rng: np.random.Generator, drawings: NDArray[np.int64], tiles: list[Tile]
) -> SampleRequests:
    """Requests for the labels of training drawings, hues at random; the real pictures show those drawings."""
    pack = data.pack
    hues = rng.integers(len(HUE.values), size=len(drawings))
    looks = [
        Look(family=Family(int(pack.glyph_families[i])), hue=HUE.values[hue], tile=tile)
        for i, hue, tile in zip(drawings, hues, tiles, strict=True)
    ]
    real = [compose(rng, pack.glyphs[i], look, size=SIZE) for i, look in zip(drawings, looks, strict=True)]
    asked = [
        (int(pack.glyph_labels[i]), int(pack.glyph_styles[i]), HUE.index(look.hue), TILE.index(look.tile))
        for i, look in zip(drawings, looks, strict=True)
    ]
    return SampleRequests(name=name, controls=np.array(asked), real=np.stack(real), drawings=drawings)
