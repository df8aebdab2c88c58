"""Requests to a model, and the real images for the same requests."""

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
    """Requests with `controls` (n, 4) int64; `real` (n, 32, 32, 3) shows training drawings with the same controls.

    `drawings`: the index of the training drawing that each real image shows.
    """

    name: str
    controls: NDArray[np.int64]
    real: Bytes
    drawings: NDArray[np.int64]

    def first(self, count: int) -> SampleRequests:
        """Return the first `count` of them."""
        return replace(self, controls=self.controls[:count], real=self.real[:count], drawings=self.drawings[:count])


def letters(data: Symbols, count: int = LETTERS) -> SampleRequests:
    """Return requests for letters and digits in turn, on any tile in any hue, with the frequencies of training."""
    rng = np.random.default_rng(1)
    labels = np.arange(count) % len(MONOGRAMS) + 1
    drawings = np.array([rng.choice(np.flatnonzero(data.pack.glyph_labels == label)) for label in labels])
    tiles = rng.choice(list(TILE_SHARES), count, p=list(TILE_SHARES.values()))
    return composed("letters", data, rng, drawings, [Tile(tile) for tile in tiles])


def glyphs(data: Symbols, count: int = GLYPHS) -> SampleRequests:
    """Return requests for glyphs alone on white, whose masks can be recovered: half letters and digits, half icons."""
    rng = np.random.default_rng(2)
    families = np.arange(count) % 2
    of_family = [np.flatnonzero(data.pack.glyph_families == family) for family in (Family.LETTERS, Family.ICONS)]
    drawings = np.array([rng.choice(of_family[family]) for family in families])
    return composed("glyphs", data, rng, drawings, [Tile.NONE] * count)


def composed(
    name: str, data: Symbols, rng: np.random.Generator, drawings: NDArray[np.int64], tiles: list[Tile]
) -> SampleRequests:
    """Return requests for the labels of training drawings with random hues; the real images show those drawings."""
    pack = data.pack
    hues = rng.integers(len(HUE.values), size=len(drawings))
    looks = [
        Look(family=Family(int(pack.glyph_families[i])), hue=HUE.values[hue], tile=tile)
        for i, hue, tile in zip(drawings, hues, tiles, strict=True)
    ]
    real = [compose(rng, pack.glyphs[i], look, size=SIZE) for i, look in zip(drawings, looks, strict=True)]
    controls = [
        (int(pack.glyph_labels[i]), int(pack.glyph_styles[i]), HUE.index(look.hue), TILE.index(look.tile))
        for i, look in zip(drawings, looks, strict=True)
    ]
    return SampleRequests(name=name, controls=np.array(controls), real=np.stack(real), drawings=drawings)
