"""Reference images from held-out drawings, and which generated images are as good: keepers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.subscale import Bytes
from training.data.tiles import Look, compose
from training.data.vocabulary import HUE, LABEL, MONOGRAMS, STYLE, TILE, Tile
from training.judging.craft import FAULTS, Craft
from training.judging.glyphs import Glyphs, Indices
from training.judging.observation import Observation, observe
from training.judging.reader import Reader
from training.scoring.samples import ControlValues

QUANTILE: Final = 0.95
"""Share of the reference images of a kind that lie within a bound."""

VISIBLE: Final = Craft(wobble=0.0, speckle=0.5, fill=3.0)
"""Faults too small to see. A bound is never lower, although reference images are composed by exact arithmetic."""

ImageKind = tuple[bool, bool]
"""Whether an image shows a letter, and whether it has a tile."""


@dataclass(frozen=True, kw_only=True)
class ReferenceImages:
    """Images composed from held-out drawings: their controls, and what the judge observes in them."""

    requests: list[ControlValues]
    observations: list[Observation]

    def bounds(self) -> dict[ImageKind, Craft]:
        """Return the faults that `QUANTILE` of the images of each kind stay within."""
        kinds = [kind_of(each) for each in self.requests]
        return {
            kind: _bound([each.craft for each, other in zip(self.observations, kinds, strict=True) if other == kind])
            for kind in dict.fromkeys(kinds)
        }


def reference_images(reader: Reader, glyphs: Glyphs, *, count: int, size: int, seed: int = 7) -> ReferenceImages:
    """Return `count` letters and as many icons, composed from held-out drawings, with observations."""
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(np.flatnonzero(glyphs.letters == letter), count) for letter in (True, False)]
    images, requests = composed(rng, glyphs, np.concatenate(chosen), size=size)
    return ReferenceImages(requests=requests, observations=observe(reader, images))


def composed(
    rng: np.random.Generator, glyphs: Glyphs, chosen: Indices, *, size: int
) -> tuple[list[Bytes], list[ControlValues]]:
    """Return images (size, size, 3) of drawings in any hue, on each tile in turn, and their controls."""
    images: list[Bytes] = []
    requests: list[ControlValues] = []
    for place, index in enumerate(chosen.tolist()):
        tile, hue = tuple(Tile)[place % len(Tile)], HUE.values[rng.integers(len(HUE.values))]
        look = Look(family=glyphs.family(index), hue=hue, tile=tile)
        images.append(compose(rng, glyphs.masks[index], look, size=size))
        label, style = LABEL.values[glyphs.labels[index]], STYLE.values[glyphs.styles[index]]
        requests.append({LABEL.name: label, STYLE.name: style, HUE.name: hue, TILE.name: tile.value})
    return images, requests


def kind_of(request: ControlValues) -> ImageKind:
    """Return the kind of an image whose label and tile are known."""
    return request[LABEL.name] in MONOGRAMS, request[TILE.name] != Tile.NONE


def is_keeper(request: ControlValues, seen: Observation, bounds: Mapping[ImageKind, Craft]) -> bool:
    """Return whether an image shows all that was requested and has no fault beyond the bound of its kind."""
    return seen.matches(request) and within(seen.craft, bounds[kind_of(request)])


def within(found: Craft, bound: Craft) -> bool:
    """Return whether no fault is beyond the bound."""
    return all(getattr(found, fault) <= getattr(bound, fault) for fault in FAULTS)


def _bound(crafts: Sequence[Craft]) -> Craft:
    return Craft(
        **{
            fault: max(getattr(VISIBLE, fault), float(np.quantile([getattr(each, fault) for each in crafts], QUANTILE)))
            for fault in FAULTS
        }
    )
