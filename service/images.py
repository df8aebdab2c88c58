"""Image files: slices as PNG, WebP or JPEG, and a caller's image as slices."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from models.config import Geometry, Stage
from models.image_files import as_rgb
from models.subscale import Bytes, Progress
from service.contract.likelihood import Likelihood
from service.errors import FieldError, NoImageError
from service.heat_map import heat_map

START = "start.image"
ACCEPTED = ("PNG", "WEBP", "JPEG")
URL_SAFE = str.maketrans("-_", "+/")
NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


PNG_LEVEL = 3
"""Of zlib: 200 microseconds for a 64 px image, at 6 it takes 340 and saves 7 % of 2.4 kB."""


class ImageFormat(StrEnum):
    """Formats in which images are sent."""

    PNG = "png"
    WEBP = "webp"
    JPEG = "jpeg"
    SVG = "svg"

    @classmethod
    def _missing_(cls, value: object) -> ImageFormat | None:
        """Accept any letter case, and jpg."""
        name = str(value).lower()
        return cls.JPEG if name == "jpg" else next((each for each in cls if each == name), None)

    @property
    def media_type(self) -> str:
        """Return the value of Content-Type."""
        return "image/svg+xml" if self is ImageFormat.SVG else f"image/{self}"


PIXEL_FORMATS = (ImageFormat.PNG, ImageFormat.WEBP, ImageFormat.JPEG)
"""Formats that keep an image's pixels. Browsers accept SVG for every <img>, so it has to be requested by name."""


def preferred(accept: str) -> ImageFormat:
    """Return the format of pixels that an Accept header prefers, the first of equals; PNG if it names none of ours."""
    offered = {image_format.media_type: image_format for image_format in PIXEL_FORMATS} | {
        "image/jpg": ImageFormat.JPEG
    }
    named = [
        (weight(rest), name.strip().lower()) for name, _, rest in (part.partition(";") for part in accept.split(","))
    ]
    wanted = [(q, offered[name]) for q, name in named if q > 0 and name in offered]
    return max(wanted, key=lambda each: each[0], default=(1, ImageFormat.PNG))[1]


def weight(parameters: str) -> float:
    """Return the q of a part of an Accept header: 1 if it has none, 0 if it is invalid."""
    found = re.search(r"(?:^|;)\s*q\s*=\s*([^;]*)", parameters, re.IGNORECASE)
    if found is None:
        return 1
    return float(found[1]) if re.fullmatch(r"[01](?:\.[0-9]{0,3})?", found[1].strip()) else 0


def generated(progress: Progress | Likelihood) -> Progress:
    """Return the progress of a generated image. Raises NoImageError for a score job."""
    if isinstance(progress, Likelihood):
        raise NoImageError
    return progress


def encode(
    progress: Progress | Likelihood, image_format: ImageFormat, *, scale: int = 1, text: Mapping[str, str]
) -> bytes:
    """Return the image or heat map so far as a file, each pixel `scale` x `scale`. `text` goes into a PNG's text chunks."""
    shown = heat_map(progress) if isinstance(progress, Likelihood) else progress.image()
    shown = shown.repeat(scale, axis=0).repeat(scale, axis=1)
    image, out = Image.fromarray(shown[..., 0] if shown.shape[-1] == 1 else shown), io.BytesIO()
    match image_format:
        case ImageFormat.PNG:
            image.save(out, "PNG", pnginfo=text_chunks(text), compress_level=PNG_LEVEL)
        case ImageFormat.WEBP:
            image.save(out, "WEBP", lossless=True)
        case ImageFormat.JPEG:
            image.save(out, "JPEG", quality=95, subsampling=0)  # 4:4:4: colour edges stay sharp
    return out.getvalue()


def text_chunks(text: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    """Return PNG tEXt chunks."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_text(key, value)
    return chunks


def started(encoded: str, stage: Stage, geometry: Geometry) -> Progress:
    """Return the slices of a caller's image with which `stage` starts. Raises FieldError."""
    if stage not in geometry.stages or stage is Stage.BASE:
        msg = f"this model cannot start there; it can: {', '.join(geometry.stages[1:])}"
        raise FieldError("start.stage", msg)
    image = pixels(encoded, geometry, sizes=geometry.start_sizes(stage), field=START)
    return Progress.of(image, geometry, geometry.slices) if stage is Stage.DEPTH else Progress.of_level(image, geometry)


def pixels(encoded: str, geometry: Geometry, *, sizes: Sequence[int], field: str) -> Bytes:
    """Return a base64 PNG, WebP or JPEG, square and of one of `sizes`, as (size, size, C) values of the model's bits.

    Raises FieldError for `field`, the name of the image in the request.
    """
    try:
        image = Image.open(io.BytesIO(decoded(encoded, field=field)), formats=ACCEPTED)
    except UnidentifiedImageError:
        raise FieldError(field, "not a PNG, WebP or JPEG file; other formats are not accepted") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise FieldError(field, "the file is damaged; send a whole PNG, WebP or JPEG") from None
    if image.size not in {(size, size) for size in sizes}:
        expected = " or ".join(f"{size} x {size}" for size in sizes)
        raise FieldError(field, f"expected {expected} pixels, got {image.size[0]} x {image.size[1]}")
    try:
        values = np.array(as_rgb(image).convert("L" if geometry.channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        text = str(error) if "mode" in str(error) else f"the {image.format} file is damaged or cut off"
        raise FieldError(field, text) from None
    return values.reshape(*values.shape[:2], geometry.channels) >> np.uint8(8 - geometry.bits)


def decoded(encoded: str, *, field: str) -> bytes:
    """Return the bytes of base64 with or without line breaks, padding or a data: prefix. Raises FieldError for `field`."""
    head, comma, rest = encoded.partition(",") if encoded[:5].lower() == "data:" else ("", "", encoded)
    if head and not (comma and head.lower().endswith(";base64")):
        raise FieldError(field, "a data: URL must have the form data:image/png;base64,...")
    text = "".join(rest.split()).translate(URL_SAFE).rstrip("=")
    if not text:
        raise FieldError(field, "the image is empty; send the base64 of a PNG, WebP or JPEG")
    if wrong := NOT_BASE64.search(text):
        raise FieldError(field, f"not base64: it has the character {wrong[0]!r}")
    if len(text) % 4 == 1:
        raise FieldError(field, f"not base64: {len(text)} characters cannot be whole bytes, some are missing")
    return base64.b64decode(text + "=" * (-len(text) % 4))
