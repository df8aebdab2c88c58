"""One image as the file that a caller wants: SVG, or PNG, WebP or JPEG of any size, in any colours."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from models.subscale import Bytes
from service.images import ImageFormat
from service.vector import rendering
from service.vector.svg import AS_IS, Recolouring, svg
from service.vector.vector_form import GlyphForm, VectorForm, vector_form

_KEPT_FORMS: Final = 64
_QUALITY: Final = 95


@dataclass(frozen=True, kw_only=True)
class ImageExport:
    """What is wanted of an image: `size` in pixels, None for an SVG that fills its place; `title` for screen readers."""

    format: ImageFormat
    size: int | None
    title: str
    colours: Recolouring = AS_IS

    @property
    def digest(self) -> str:
        """Equal for equal exports."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """A file, and whether its image was traced by colour because it is no glyph on a ground."""

    content: bytes
    traced: bool


class RecolourError(ValueError):
    """The image has no such part to give a colour to: `ground` or `glyph`."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


def export_image(image: Bytes, export: ImageExport) -> ExportedFile:
    """Return the file. Raises RecolourError."""
    form = form_of(image)
    check_parts(form, export.colours)
    return ExportedFile(content=_content(form, export), traced=not isinstance(form, GlyphForm))


def form_of(image: Bytes) -> VectorForm:
    """Return the vector form of an image (S, S, C); the last ones are kept."""
    return _form_of(image.tobytes(), image.shape)


def check_parts(form: VectorForm, colours: Recolouring) -> None:
    """Raise RecolourError if the image has no part that is to have another colour."""
    has_glyph = isinstance(form, GlyphForm) and bool(form.glyph)
    has_ground = isinstance(form, GlyphForm) and form.ground is not None
    for part, wanted, there in (("ground", colours.ground, has_ground), ("glyph", colours.glyph, has_glyph)):
        if wanted and not there:
            raise RecolourError(part)


def _content(form: VectorForm, export: ImageExport) -> bytes:
    """The form as an SVG, or as a PNG, WebP or JPEG of `export.size` pixels."""
    if export.format is ImageFormat.SVG:
        return svg(form, title=export.title, colours=export.colours, size=export.size).encode()
    if export.format is ImageFormat.PNG:
        return rendering.png(form, export.size or 0, export.colours)
    out, shown = io.BytesIO(), rendering.image(form, export.size or 0, export.colours)
    if export.format is ImageFormat.WEBP:
        shown.save(out, "WEBP", lossless=True, method=2)
    else:
        shown.convert("RGB").save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


@lru_cache(maxsize=_KEPT_FORMS)
def _form_of(pixels: bytes, shape: tuple[int, ...]) -> VectorForm:
    return vector_form(np.frombuffer(pixels, np.uint8).reshape(shape))
