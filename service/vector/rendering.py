"""SVG documents as PNG files and images, by resvg."""

from __future__ import annotations

import io
from typing import Final

import resvg_py
from PIL import Image

_FINENESS: Final = 4
_FINEST: Final = 512


def png(document: str, size: int) -> bytes:
    """Return the document as a PNG of size x size pixels, antialiased, transparent where nothing is painted."""
    if _times(size) == 1:
        return _rendered(document, size)
    out = io.BytesIO()
    image(document, size).save(out, "PNG")
    return out.getvalue()


def image(document: str, size: int) -> Image.Image:
    """Return the document as an RGBA image of size x size pixels.

    resvg knows the coverage of a pixel in sixteenths only. A small image is therefore rendered larger and averaged.
    """
    times = _times(size)
    shown = Image.open(io.BytesIO(_rendered(document, times * size))).convert("RGBA")
    return shown if times == 1 else shown.convert("RGBa").reduce(times).convert("RGBA")


def _times(size: int) -> int:
    """How many times larger an image is rendered."""
    return max(1, min(_FINENESS, _FINEST // size))


def _rendered(document: str, size: int) -> bytes:
    return bytes(resvg_py.svg_to_bytes(svg_string=document, width=size, height=size, skip_system_fonts=True))
