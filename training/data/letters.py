"""Glyph masks of A-Z and 0-9 from open text faces, at one cap height."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from fontTools.ttLib import TTFont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.data.drawings import Drawing
from training.data.sources import FONT_VERSION, Source
from training.data.tiles import MASTER
from training.data.vocabulary import MONOGRAMS, Family

_FINE: Final = 4 * MASTER
_CAP: Final = 44 / 64 * _FINE
_WIDEST: Final = 60 / 64 * _FINE
_PROBE: Final = 512

APACHE_FACES: Final = frozenset({"roboto-slab"})
"""Families under Apache-2.0; all others are under OFL-1.1."""

FACES: Final = {
    "inter": (400, 700, 900), "roboto": (500,), "work-sans": (800,), "montserrat": (500, 800), "poppins": (400, 700),
    "lato": (900,), "nunito": (700, 900), "rubik": (700,), "archivo-black": (400,), "anton": (400,), "bebas-neue": (400,),
    "oswald": (700,), "josefin-sans": (400, 700), "jost": (500, 800), "figtree": (800,), "dm-sans": (600,),
    "ibm-plex-sans": (600,), "fira-sans": (700,), "barlow": (800,), "lexend": (700,), "outfit": (400, 700), "sora": (700,),
    "space-grotesk": (700,), "quicksand": (700,), "comfortaa": (700,), "fredoka": (600,), "baloo-2": (800,),
    "varela-round": (400,), "titillium-web": (700,), "exo-2": (800,), "orbitron": (800,), "audiowide": (400,),
    "michroma": (400,), "righteous": (400,), "playfair-display": (700, 900), "lora": (700,), "merriweather": (400, 900),
    "eb-garamond": (500, 800), "libre-baskerville": (400, 700), "bodoni-moda": (800,), "dm-serif-display": (400,),
    "abril-fatface": (400,), "crimson-pro": (700,), "cinzel": (700,), "fraunces": (700, 900), "yeseva-one": (400,),
    "roboto-slab": (700, 900), "arvo": (400, 700), "alfa-slab-one": (400,), "zilla-slab": (700,), "bitter": (800,),
    "rokkitt": (800,), "jetbrains-mono": (800,), "ibm-plex-mono": (700,), "space-mono": (700,), "courier-prime": (700,),
    "raleway": (800,), "kanit": (700,), "teko": (700,), "unbounded": (700, 900), "passion-one": (400,),
    "lilita-one": (400,), "russo-one": (400,), "paytone-one": (400,), "bree-serif": (400,), "patua-one": (400,),
    "prata": (400,), "chakra-petch": (700,), "rajdhani": (700,), "titan-one": (400,),
    "krona-one": (400,), "caprasimo": (400,),
}  # fmt: skip
"""Families and weights: sans, serif, slab, rounded, mono and display; all upright and legible."""

HELD_OUT_FACES: Final = frozenset(
    {
        "righteous-400",
        "dm-serif-display-400",
        "unbounded-700",
        "space-mono-700",
        "rokkitt-800",
        "chakra-petch-700",
        "krona-one-400",
    }
)
"""Faces of which no glyph is trained on."""

FONTS: Final = tuple(
    Source(
        package=f"@fontsource/{name}",
        version=FONT_VERSION,
        licence="Apache-2.0" if name in APACHE_FACES else "OFL-1.1",
        credit="letters and digits",
    )
    for name in FACES
)


def letters(packages: Path) -> Iterator[Drawing]:
    """All 36 characters of every face, in a fixed order."""
    for name, weights in FACES.items():
        for weight in weights:
            face = _face(packages / f"@fontsource/{name}/files/{name}-latin-{weight}-normal.woff2")
            for character in MONOGRAMS:
                yield Drawing(
                    pixels=_mask(face, character),
                    family=Family.MONOGRAMS,
                    label=character,
                    concept=f"{name}-{weight}",
                    source=f"@fontsource/{name}",
                )


def _face(path: Path) -> bytes:
    """A web font unpacked to plain TrueType or CFF."""
    font = TTFont(path)
    font.flavor = None
    plain = io.BytesIO()
    font.save(plain)
    return plain.getvalue()


def _mask(face: bytes, character: str) -> NDArray[np.uint8]:
    ink = _ink(face, character, _PROBE)
    tall = ink.height if character.isdigit() else _ink(face, "H", _PROBE).height
    size = _PROBE * min(_CAP / tall, _WIDEST / ink.width)
    fine = Image.new("L", (_FINE, _FINE))
    glyph = _ink(face, character, size)
    fine.paste(glyph, ((_FINE - glyph.width) // 2, (_FINE - glyph.height) // 2))
    return np.asarray(fine.reduce(_FINE // MASTER))


def _ink(face: bytes, character: str, size: float) -> Image.Image:
    """One character cropped to its ink."""
    font = ImageFont.truetype(io.BytesIO(face), size, layout_engine=ImageFont.Layout.BASIC)
    canvas = Image.new("L", (int(size * 2.5), int(size * 2.5)))
    ImageDraw.Draw(canvas).text((size / 2, size / 2), character, fill=255, font=font)
    return canvas.crop(canvas.getbbox())
