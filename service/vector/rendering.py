"""SVG documents as PNG, WebP and JPEG, by resvg."""

from __future__ import annotations

import io

import resvg_py
from PIL import Image


def png(document: str, size: int) -> bytes:
    """Return the document as a PNG of size x size pixels, antialiased, transparent where nothing is painted."""
    return bytes(resvg_py.svg_to_bytes(svg_string=document, width=size, height=size, skip_system_fonts=True))


def image(document: str, size: int) -> Image.Image:
    """Return the document as an RGBA image of size x size pixels."""
    return Image.open(io.BytesIO(png(document, size))).convert("RGBA")
