"""Between slices and image files: a drawing as PNG, WebP or JPEG, and a caller's image as slices."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping
from enum import StrEnum

import numpy as np
from PIL import Image, PngImagePlugin

from models.config import Geometry, Stage
from models.subscale import Bytes, Progress, split_depth
from service.errors import FieldError


class ImageFormat(StrEnum):
    """The formats offered."""

    PNG = "png"
    WEBP = "webp"
    JPEG = "jpeg"

    @property
    def media_type(self) -> str:
        """For Content-Type."""
        return f"image/{self}"


def preferred(accept: str) -> ImageFormat:
    """The format that an Accept header wants most, the first of equals; PNG if it names none."""
    offered = {image_format.media_type: image_format for image_format in ImageFormat}
    named = [(weight(rest), name.strip()) for name, _, rest in (part.partition(";") for part in accept.split(","))]
    wanted = [(q, offered[name]) for q, name in named if q > 0 and name in offered]
    return max(wanted, key=lambda each: each[0], default=(1, ImageFormat.PNG))[1]


def weight(parameters: str) -> float:
    """Q of a part of an Accept header: 1 if it has none, 0 if it is nonsense."""
    found = re.search(r"(?:^|;)\s*q\s*=\s*([^;]*)", parameters)
    if found is None:
        return 1
    return float(found[1]) if re.fullmatch(r"[01](?:\.[0-9]{0,3})?", found[1].strip()) else 0


def encode(progress: Progress, image_format: ImageFormat, *, scale: int = 1, text: Mapping[str, str]) -> bytes:
    """The picture as it stands, each pixel `scale` x `scale`. `text` goes into a PNG's text chunks."""
    pixels = progress.picture().repeat(scale, axis=0).repeat(scale, axis=1)
    image, out = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), io.BytesIO()
    match image_format:
        case ImageFormat.PNG:
            image.save(out, "PNG", pnginfo=text_chunks(text))
        case ImageFormat.WEBP:
            image.save(out, "WEBP", lossless=True)
        case ImageFormat.JPEG:
            image.save(out, "JPEG", quality=95)
    return out.getvalue()


def text_chunks(text: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    """PNG tEXt chunks."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_text(key, value)
    return chunks


def started(encoded: str, stage: Stage, geometry: Geometry) -> Progress:
    """The slices that a caller's picture stands for when `stage` is to begin with it. Raises FieldError."""
    if stage not in geometry.stages or stage is Stage.BASE:
        msg = f"this model cannot start there; it can: {', '.join(geometry.stages[1:])}"
        raise FieldError("start.stage", msg)
    if stage is Stage.DEPTH:
        return Progress.of(pixels(encoded, geometry.size, geometry), geometry, geometry.slices)
    coarse, _ = split_depth(pixels(encoded, geometry.slice_size, geometry), geometry.fine_bits)
    return Progress(geometry=geometry, slices=(coarse,))


def pixels(encoded: str, size: int, geometry: Geometry) -> Bytes:
    """Base64 PNG, WebP or JPEG of `size` x `size` as (size, size, C) values of the model's bits. Raises FieldError."""
    try:
        image = Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)), formats=["PNG", "WEBP", "JPEG"])
        if image.size != (size, size):
            msg = f"expected {size} x {size} pixels, got {image.size[0]} x {image.size[1]}"
            raise FieldError("start.image", msg)
        values = np.array(opaque(image).convert("L" if geometry.channels == 1 else "RGB"))
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise FieldError("start.image", "not a base64 PNG, WebP or JPEG") from None
    return values.reshape(size, size, geometry.channels) >> np.uint8(8 - geometry.bits)


def opaque(image: Image.Image) -> Image.Image:
    """On white, as the models' training pictures are. Under what is transparent there may be any colour, often black."""
    if not image.has_transparency_data:
        return image
    seen = image.convert("RGBA")
    white = Image.new("RGBA", seen.size, "white")
    return Image.alpha_composite(white, seen)
