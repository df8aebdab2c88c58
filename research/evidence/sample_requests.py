"""Requests to a model, and real images for the same requests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.subscale import Bytes
from training.data.symbols import TILE_SHARES, Pack
from training.data.tiles import Look, compose
from training.data.vocabulary import CONCEPTS, HUE, LABEL, MONOGRAMS, TILE, Family, Tile

COUNT: Final = 5024
"""Requests of a list: 157 batches of a sampler. A shorter list is its beginning."""

LABELS: Final = (*MONOGRAMS[::3], *CONCEPTS[::13])
"""Every third letter and every thirteenth concept, twelve of each: few labels with many requests each."""


@dataclass(frozen=True, kw_only=True)
class SampleRequests:
    """Requests: `controls` (n, 4) int64. `drawings` (n,): for each a training drawing that has these controls."""

    controls: NDArray[np.int64]
    drawings: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.controls)

    @property
    def digest(self) -> str:
        """A short hash of the controls: samples of other requests have another one."""
        return hashlib.sha256(self.controls.tobytes()).hexdigest()[:8]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Positions in `LABEL.values`: (n,)."""
        return self.controls[:, 0] - 1

    def first(self, count: int) -> SampleRequests:
        """Return the first `count` of them."""
        return replace(self, controls=self.controls[:count], drawings=self.drawings[:count])


def labels_in_turn(pack: Pack, labels: Sequence[str] = LABELS, *, seed: int = 1) -> SampleRequests:
    """Return `COUNT` requests for labels in turn: the style of a random drawing, any hue, tiles with their frequencies."""
    rng = np.random.default_rng(seed)
    drawings_of = [np.flatnonzero(pack.glyph_labels == LABEL.index(label)) for label in labels]
    drawings = np.array([rng.choice(drawings_of[place % len(labels)]) for place in range(COUNT)])
    hues = rng.integers(1, len(HUE.values) + 1, COUNT)
    indices = [TILE.index(tile) for tile in TILE_SHARES]
    tiles = rng.choice(indices, COUNT, p=list(TILE_SHARES.values()))
    controls = np.stack([pack.glyph_labels[drawings], pack.glyph_styles[drawings], hues, tiles], axis=1)
    return SampleRequests(controls=controls.astype(np.int64), drawings=drawings)


def real_images(pack: Pack, requests: SampleRequests, *, size: int, seed: int) -> Bytes:
    """Return images (n, size, size, 3) of the training drawings, with the hues and tiles of the requests."""
    rng = np.random.default_rng(seed)
    images = []
    for drawing, (_, _, hue, tile) in zip(requests.drawings, requests.controls, strict=True):
        family = Family(int(pack.glyph_families[drawing]))
        look = Look(family=family, hue=HUE.values[hue - 1], tile=Tile(TILE.values[tile - 1]))
        images.append(compose(rng, pack.glyphs[drawing], look, size=size))
    return np.stack(images)
