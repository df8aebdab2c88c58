"""What real held-out pictures are like, and which generated ones are as good: keepers."""

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
"""Share of real held-out pictures of a kind that lie within a bound."""

VISIBLE: Final = Craft(wobble=0.0, speckle=0.5, fill=3.0)
"""Faults that nobody sees, whatever real pictures have: real ones are composed by exact arithmetic."""

ImageKind = tuple[bool, bool]
"""Letter or not; on a tile or not."""


@dataclass(frozen=True, kw_only=True)
class ReferenceImages:
    """Held-out pictures: what was composed, and what is seen in them."""

    asked: list[ControlValues]
    seen: list[Observation]

    def bounds(self) -> dict[ImageKind, Craft]:
        """The faults that `QUANTILE` of the pictures of each kind stay within."""
        kinds = [kind_of(each) for each in self.asked]
        return {
            kind: _bound([seen.craft for seen, other in zip(self.seen, kinds, strict=True) if other == kind])
            for kind in dict.fromkeys(kinds)
        }


def reference_images(reader: Reader, glyphs: Glyphs, *, count: int, size: int, seed: int = 7) -> ReferenceImages:
    """Return `count` letters and as many icons, composed from held-out drawings, and seen."""
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(np.flatnonzero(glyphs.letters == letter), count) for letter in (True, False)]
    pictures, asked = composed(rng, glyphs, np.concatenate(chosen), size=size)
    return ReferenceImages(asked=asked, seen=observe(reader, pictures))


def composed(
    rng: np.random.Generator, glyphs: Glyphs, chosen: Indices, *, size: int
) -> tuple[list[Bytes], list[ControlValues]]:
    """Return pictures (size, size, 3) of drawings in any hue, on each tile in turn, and what they show."""
    pictures: list[Bytes] = []
    asked: list[ControlValues] = []
    for place, index in enumerate(chosen.tolist()):
        tile, hue = tuple(Tile)[place % len(Tile)], HUE.values[rng.integers(len(HUE.values))]
        look = Look(family=glyphs.family(index), hue=hue, tile=tile)
        pictures.append(compose(rng, glyphs.masks[index], look, size=size))
        label, style = LABEL.values[glyphs.labels[index]], STYLE.values[glyphs.styles[index]]
        asked.append({LABEL.name: label, STYLE.name: style, HUE.name: hue, TILE.name: tile.value})
    return pictures, asked


def kind_of(asked: ControlValues) -> ImageKind:
    """The kind of a picture of which label and tile are known."""
    return asked[LABEL.name] in MONOGRAMS, asked[TILE.name] != Tile.NONE


def is_keeper(asked: ControlValues, seen: Observation, bounds: Mapping[ImageKind, Craft]) -> bool:
    """Whether a picture shows all that was asked for and has no fault beyond the bound of its kind."""
    return seen.agrees(asked) and within(seen.craft, bounds[kind_of(asked)])


def within(found: Craft, bound: Craft) -> bool:
    """Whether no fault is beyond the bound."""
    return all(getattr(found, fault) <= getattr(bound, fault) for fault in FAULTS)


def _bound(crafts: Sequence[Craft]) -> Craft:
    return Craft(
        **{
            fault: max(getattr(VISIBLE, fault), float(np.quantile([getattr(each, fault) for each in crafts], QUANTILE)))
            for fault in FAULTS
        }
    )
