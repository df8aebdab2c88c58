"""Image files as colours: every mode of PNG, WebP and JPEG in 8-bit RGB, upright, on white."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

_SIXTEEN_BITS = 65_535
_GREY_STEPS = {"L;2": 85, "L;4": 17}
"""Pillow widens such greys to 8 bits, but not the one that counts as transparent."""


def as_rgb(image: Image.Image) -> Image.Image:
    """Return an opened image in RGB: turned as its EXIF orientation says, transparent parts on white.

    Raises ValueError for a mode without defined colours, and what Pillow raises for a damaged file.
    """
    tiles = getattr(image, "tile", ())
    storage = str(tiles[0][3]) if tiles else ""
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        return from_16_bits(upright)
    if upright.mode not in {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}:
        raise ValueError(f"images of mode {upright.mode} are not accepted")
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    scale_transparency(upright, storage)
    layered = upright.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")


def from_16_bits(image: Image.Image) -> Image.Image:
    """Return a grey image of 16 bits in RGB. Pillow itself cuts its values off at 255."""
    values = np.asarray(image).astype(np.int64).clip(0, _SIXTEEN_BITS)
    grey = ((values * 255 + _SIXTEEN_BITS // 2) // _SIXTEEN_BITS).astype(np.uint8)
    grey[values == image.info.get("transparency", -1)] = 255
    return Image.fromarray(grey).convert("RGB")


def scale_transparency(image: Image.Image, storage: str) -> None:
    """Give the transparent colour of a PNG the bits that Pillow gave its pixels; `storage` is the mode in the file."""
    transparent = image.info.get("transparency")
    if storage in _GREY_STEPS and isinstance(transparent, int):
        image.info["transparency"] = transparent * _GREY_STEPS[storage]
    elif storage == "RGB;16B" and isinstance(transparent, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in transparent)
