"""Glyph masks of A-Z and 0-9 from open font families, at one cap height."""

from __future__ import annotations

import io
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

from training.data.build.drawings import Drawing
from training.data.build.faces import STYLES, WEIGHTS
from training.data.tiles import MASTER, Mask
from training.data.vocabulary import MONOGRAMS, Family

_FINE: Final = 4 * MASTER
_CAP: Final = 44 / 64 * _FINE
_WIDEST: Final = 60 / 64 * _FINE
_TALLEST: Final = 56 / 64 * _FINE
_PROBE: Final = 256
_FAINT: Final = 10.0
_PROCESSES: Final = 2


def letters(packages: Path) -> list[Drawing]:
    """Return all 36 characters of every face, in a fixed order."""
    faces = [(family, weight) for family, weights in WEIGHTS.items() for weight in weights]
    with ProcessPoolExecutor(_PROCESSES) as pool:
        drawn = pool.map(partial(_face, packages), faces, chunksize=4)
        return [drawing for face in drawn for drawing in face]


def _face(packages: Path, face: tuple[str, int]) -> list[Drawing]:
    """Return every character of a face that is not faint."""
    family, weight = face
    font = _Font(packages / f"@fontsource/{family}/files/{family}-latin-{weight}-normal.woff2")
    masks = {character: font.mask(character) for character in MONOGRAMS if character in font.characters}
    return [
        Drawing(
            pixels=mask, family=Family.LETTERS, label=character, style=STYLES[family], source=family, name=str(weight)
        )
        for character, mask in masks.items()
        if mask.mean() > _FAINT
    ]


class _Font:
    """A web font, unpacked to TrueType or CFF."""

    def __init__(self, path: Path) -> None:
        font = TTFont(path)
        font.flavor = None
        plain = io.BytesIO()
        font.save(plain)
        self.data = plain.getvalue()
        self.characters = {chr(code) for code in font.getBestCmap() or ()}

    def mask(self, character: str) -> Mask:
        """Return the coverage (128, 128) of a character: capitals of one cap height, digits of one height, ink centred."""
        ink = self._ink(character, _PROBE)
        tall = ink.height if character.isdigit() else self._ink("H", _PROBE).height
        size = _PROBE * min(_CAP / tall, _WIDEST / ink.width, _TALLEST / ink.height)
        fine = Image.new("L", (_FINE, _FINE))
        glyph = self._ink(character, size)
        fine.paste(glyph, ((_FINE - glyph.width) // 2, (_FINE - glyph.height) // 2))
        return np.asarray(fine.reduce(_FINE // MASTER))

    def _ink(self, character: str, size: float) -> Image.Image:
        """Return one character cropped to its ink; a single clear pixel for a character without ink."""
        font = ImageFont.truetype(io.BytesIO(self.data), size, layout_engine=ImageFont.Layout.BASIC)
        left, top, right, bottom = font.getbbox(character)
        canvas = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
        ImageDraw.Draw(canvas).text((2 - left, 2 - top), character, fill=255, font=font)
        return canvas.crop(canvas.getbbox() or (0, 0, 1, 1))
