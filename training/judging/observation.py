"""All that the judge observes in an image: the value of each control, and how well the glyph is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from models.subscale import Bytes
from training.data.colours import hue_of
from training.data.vocabulary import HUE, LABEL, NEUTRAL, STYLE, TILE, Style, Tile
from training.judging.craft import Craft, craft
from training.judging.glyph_recovery import Floats, RecoveredGlyph, grown, recover
from training.judging.glyphs import FACES
from training.judging.looks import tile_hue, tile_of
from training.judging.reader import ICON, SIDE, Reader, read, read_as, small, zoomed

_SOLID: Final = 0.10
_STROKE: Final = 4


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one image shows. `style` is solid or outline, `face` the class of the face of a letter.

    The request decides which of the two counts.
    """

    label: str
    face: str
    style: str
    hue: str
    tile: str
    blank: bool
    craft: Craft

    def shows(self, control: str, value: str) -> bool:
        """Return whether the image shows this value of a control, as far as an image can show it."""
        if control == LABEL.name:
            return not self.blank and self.label == read_as(value)
        if control == STYLE.name:
            return value == (self.face if value in FACES else self.style)
        return value == {HUE.name: self.hue, TILE.name: self.tile}[control]

    def matches(self, request: Mapping[str, str]) -> bool:
        """Return whether the image shows all that was requested."""
        return not self.blank and all(self.shows(control, value) for control, value in request.items())


def observe(reader: Reader, images: Sequence[Bytes]) -> list[Observation]:
    """Return what is observed in each image (H, W, 3)."""
    tiles = [tile_of(image) for image in images]
    glyphs = [recover(image, tile) for image, tile in zip(images, tiles, strict=True)]
    reading = read(reader, [glyph.coverage for glyph in glyphs], tiles)
    faces = reading.faces.argmax(axis=-1)
    return [
        Observation(
            label=label,
            face=FACES[face],
            style=style_of(glyph.coverage, tile),
            hue=hue(image, glyph, tile),
            tile=tile,
            blank=glyph.blank,
            craft=craft(image, glyph, tile),
        )
        for image, tile, glyph, label, face in zip(images, tiles, glyphs, reading.names(), faces, strict=True)
    ]


def style_of(coverage: Floats, tile: Tile) -> Style:
    """Return solid where more than a tenth of a glyph's ink has ink all around within 9 64ths, else outline.

    The data set's rule (training/data/build/icons.py), on a glyph brought to the size of its masks.
    """
    image = zoomed(small(torch.from_numpy(coverage).float()[None, None]), ICON[tile])[0, 0].numpy()
    ink = image >= 0.5  # noqa: PLR2004 - half covered
    deep = ~grown(~np.pad(ink, _STROKE, mode="edge"), _STROKE)[_STROKE : _STROKE + SIDE, _STROKE : _STROKE + SIDE]
    return Style.SOLID if deep.sum() > _SOLID * max(1, ink.sum()) else Style.OUTLINE


def hue(image: Bytes, glyph: RecoveredGlyph, tile: Tile) -> str:
    """Return the name of the ground's colour; without a tile, of the ink's."""
    if tile is not Tile.NONE:
        return tile_hue(image, tile)
    inked = glyph.coverage > 0.5  # noqa: PLR2004 - half covered
    return hue_of(np.clip(glyph.ink[inked].mean(axis=0), 0, 1)) if inked.any() else NEUTRAL
