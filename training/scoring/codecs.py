"""Lossless codecs on the same images, for comparison with the bits/dim of a model."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import imagecodecs
import numpy as np
from einops import rearrange
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]


def png(image: Bytes) -> bytes:
    """Encode as PNG with the best effort of Pillow."""
    return pillow(image, "PNG", optimize=True)


def webp(image: Bytes) -> bytes:
    """Encode as lossless WebP, method 6, exact."""
    return pillow(image, "WEBP", lossless=True, quality=100, method=6, exact=True)


def jpeg_xl(image: Bytes) -> bytes:
    """Encode as lossless JPEG XL, effort 9."""
    return bytes(imagecodecs.jpegxl_encode(image, lossless=True, effort=9))


CODECS: dict[str, Callable[[Bytes], bytes]] = {"PNG": png, "WebP": webp, "JPEG XL": jpeg_xl}


def pillow(image: Bytes, form: str, **options: object) -> bytes:
    """Encode an image (H, W, C) by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form, **options)
    return buffer.getvalue()


def bits_per_dim(images: Bytes, encode: Callable[[Bytes], bytes]) -> float:
    """Return the lower bits/dim of coding images (B, H, W, C) one by one and as one square sheet."""
    single = sum(len(encode(image)) for image in images) * 8 / images.size
    columns = math.isqrt(len(images))
    whole = images[: columns * (len(images) // columns)]
    sheet = rearrange(whole, "(r q) h w c -> (r h) (q w) c", q=columns)
    return min(single, len(encode(np.ascontiguousarray(sheet))) * 8 / whole.size)
