"""Emoji in three styles on white: no skin tones, no flags."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.data.drawings import Drawing
from training.data.icons import render
from training.data.sources import Cache
from training.data.tiles import MASTER
from training.data.vocabulary import Family

_GROUPS: Final = {
    "Smileys & Emotion": "emoji-smileys",
    "People & Body": "emoji-people",
    "Animals & Nature": "emoji-animals",
    "Food & Drink": "emoji-food",
    "Travel & Places": "emoji-travel",
    "Activities": "emoji-activities",
    "Objects": "emoji-objects",
    "Symbols": "emoji-symbols",
}
_PADDED: Final = 58
_NOTO_PIXELS: Final = 109
_NOTO_SIDE: Final = 136
_GENDERLESS: Final = {"1f468": "1f9d1", "1f469": "1f9d1"}
_GENDER_SIGNS: Final = {"2640", "2642", "fe0f", "200d"}


class _Emoji(NamedTuple):
    text: str
    slug: str
    label: str

    @property
    def codes(self) -> list[str]:
        return [f"{ord(character):x}" for character in self.text]

    @property
    def concept(self) -> str:
        """The code points without gender: the same person drawn twice is one concept."""
        return "-".join(_GENDERLESS.get(code, code) for code in self.codes if code not in _GENDER_SIGNS)


def emoji(cache: Cache) -> Iterator[Drawing]:
    """Every emoji in every style that has it, in a fixed order."""
    listed = _listed(cache.npm / "unicode-emoji-json/data-by-emoji.json")
    yield from _styled(listed, Family.TWEMOJI, "@twemoji/svg", _twemoji(cache.npm / "@twemoji/svg"))
    yield from _styled(listed, Family.NOTO, "fonts-noto-color-emoji", _noto(cache.noto))
    yield from _styled(listed, Family.FLUENT, "fluentui-emoji", _fluent(cache.npm / "fluentui-emoji/icons/modern"))


def _listed(path: Path) -> list[_Emoji]:
    entries = json.loads(path.read_text())
    return [
        _Emoji(text, entry["slug"], _GROUPS[entry["group"]])
        for text, entry in entries.items()
        if entry["group"] in _GROUPS
    ]


_Painter = Callable[[_Emoji], Image.Image | None]


def _styled(listed: list[_Emoji], family: Family, source: str, painter: _Painter) -> Iterator[Drawing]:
    for each in listed:
        if picture := painter(each):
            pixels = np.asarray(picture.convert("RGB"))
            yield Drawing(pixels=pixels, family=family, label=each.label, concept=each.concept, source=source)


def _twemoji(folder: Path) -> _Painter:
    def paint(each: _Emoji) -> Image.Image | None:
        names = ("-".join(each.codes), "-".join(code for code in each.codes if code != "fe0f"))
        path = next((path for name in names if (path := folder / f"{name}.svg").exists()), None)
        return _on_white(render(path, _PADDED)) if path else None

    return paint


def _fluent(folder: Path) -> _Painter:
    def paint(each: _Emoji) -> Image.Image | None:
        name = re.sub(r"_+", "-", each.slug)
        path = next((path for tail in ("", "-default") if (path := folder / f"{name}{tail}.svg").exists()), None)
        return _on_white(render(path, 2 * MASTER)).reduce(2) if path else None

    return paint


def _noto(path: Path) -> _Painter:
    font = ImageFont.truetype(path, _NOTO_PIXELS, layout_engine=ImageFont.Layout.RAQM)
    missing = _noto_picture(font, "\U000e0001\U0010fffd")

    def paint(each: _Emoji) -> Image.Image | None:
        if font.getlength(each.text) > 1.5 * _NOTO_SIDE:
            return None
        picture = _noto_picture(font, each.text)
        return (
            None if picture == missing else _on_white(picture.resize((_PADDED + 2, _PADDED + 2), Image.Resampling.BOX))
        )

    return paint


def _noto_picture(font: ImageFont.FreeTypeFont, text: str) -> Image.Image:
    canvas = Image.new("RGBA", (_NOTO_SIDE, _NOTO_SIDE), "white")
    ImageDraw.Draw(canvas).text((_NOTO_SIDE / 2, _NOTO_SIDE / 2), text, font=font, embedded_color=True, anchor="mm")
    return canvas


def _on_white(picture: Image.Image) -> Image.Image:
    """The picture centred on white, at least 64 x 64."""
    side = max(MASTER, picture.width)
    ground = Image.new("RGBA", (side, side), "white")
    margin = (side - picture.width) // 2
    ground.alpha_composite(picture, (margin, margin))
    return ground
