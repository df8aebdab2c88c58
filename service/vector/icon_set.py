"""Sets of files as ZIP archives: every size of each image, or what a web site needs of an icon."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from models.subscale import Bytes
from service.vector import rendering
from service.vector.export import ExportedFile, check_parts, form_of
from service.vector.ground import Ground, GroundShape
from service.vector.svg import WHITE, Recolouring, hexadecimal, recoloured, svg
from service.vector.vector_form import GlyphForm, VectorForm

SIZES: Final = (16, 32, 48, 64, 128, 256, 512, 1024)
"""Pixels along the PNG files of an image."""

_FAVICON: Final = (16, 32, 48)
_APPLE: Final = 180
_WEB: Final = (192, 512)
_MASKABLE: Final = 512
_SAFE_ZONE: Final = 0.4
"""Radius, as a share of the side, of the circle that no phone cuts off from a maskable icon (W3C, Web Application Manifest)."""

_READABLE: Final = 0o644
"""Permissions of unpacked files: a web server is another user."""


class ExportSet(StrEnum):
    """Which files an archive holds."""

    SIZES = "sizes"
    WEB = "web"


@dataclass(frozen=True, kw_only=True)
class NamedImage:
    """An image (S, S, C), the start of its files' names, and its title."""

    pixels: Bytes
    name: str
    title: str


def export_set(images: Sequence[NamedImage], kind: ExportSet, colours: Recolouring) -> ExportedFile:
    """Return a ZIP archive. Several web icons get a folder each. Raises RecolourError."""
    files: dict[str, bytes] = {}
    forms = [form_of(image.pixels) for image in images]
    for image, form in zip(images, forms, strict=True):
        check_parts(form, colours)
        if kind is ExportSet.WEB:
            folder = f"{image.name}/" if len(images) > 1 else ""
            files |= {f"{folder}{name}": content for name, content in _web_icon(form, image.title, colours).items()}
        else:
            files |= _all_sizes(form, image, colours)
    return ExportedFile(content=_archive(files), traced=not all(isinstance(form, GlyphForm) for form in forms))


def _all_sizes(form: VectorForm, image: NamedImage, colours: Recolouring) -> dict[str, bytes]:
    document = svg(form, title=image.title, colours=colours)
    rendered = {f"{image.name}-{size}.png": rendering.png(form, size, colours) for size in SIZES}
    return {f"{image.name}.svg": document.encode(), **rendered}


def _web_icon(form: VectorForm, title: str, colours: Recolouring) -> dict[str, bytes]:
    """The files that browsers and phones look for, by name."""
    filled, opaque = _filled(form), replace(colours, background=colours.background or WHITE)
    return {
        "favicon.svg": svg(form, title=title, colours=colours).encode(),
        "favicon.ico": _favicon(form, colours),
        "apple-touch-icon.png": rendering.png(filled, _APPLE, opaque),
        **{f"icon-{size}.png": rendering.png(form, size, colours) for size in _WEB},
        f"maskable-{_MASKABLE}.png": rendering.png(_in_safe_zone(filled), _MASKABLE, opaque),
        "manifest.json": json.dumps(_manifest(form, title, colours), indent=2).encode(),
    }


def _filled(form: VectorForm) -> VectorForm:
    """The form with its ground over the whole square: phones cut their own shape from it."""
    if not isinstance(form, GlyphForm) or form.ground is None:
        return form
    middle = form.side / 2
    return replace(form, ground=Ground(shape=GroundShape.SQUARE, x=middle, y=middle, half=middle, corner=0.0))


def _in_safe_zone(form: VectorForm) -> VectorForm:
    """The form, its glyph so small that no mask cuts it."""
    if not isinstance(form, GlyphForm) or not form.glyph:
        return form
    middle = form.side / 2
    reach = max(float(np.hypot(*(curve.controls - middle).T).max()) for curve in form.glyph)
    scale = min(1.0, _SAFE_ZONE * form.side / reach)
    return replace(
        form, glyph=tuple(replace(curve, controls=middle + scale * (curve.controls - middle)) for curve in form.glyph)
    )


def _favicon(form: VectorForm, colours: Recolouring) -> bytes:
    """Return an ICO file of three sizes; each size is rendered separately."""
    *smaller, largest = (rendering.image(form, size, colours) for size in _FAVICON)
    out = io.BytesIO()
    largest.save(out, "ICO", sizes=[(size, size) for size in _FAVICON], append_images=smaller)
    return out.getvalue()


def _manifest(form: VectorForm, title: str, colours: Recolouring) -> dict[str, object]:
    """A web app manifest that names the files."""
    theme = WHITE
    if isinstance(form, GlyphForm) and form.ground:
        theme = recoloured(form, colours).ground_paint.middle
    plain = [{"src": f"icon-{size}.png", "sizes": f"{size}x{size}", "type": "image/png"} for size in _WEB]
    maskable = {"src": f"maskable-{_MASKABLE}.png", "sizes": f"{_MASKABLE}x{_MASKABLE}", "type": "image/png"}
    vector = {"src": "favicon.svg", "sizes": "any", "type": "image/svg+xml"}
    return {
        "name": title,
        "icons": [vector, *plain, {**maskable, "purpose": "maskable"}],
        "theme_color": hexadecimal(theme),
        "background_color": hexadecimal(colours.background or WHITE),
    }


def _archive(files: dict[str, bytes]) -> bytes:
    """A ZIP file that is the same for the same files."""
    out = io.BytesIO()
    with ZipFile(out, "w") as archive:
        for name, content in files.items():
            method = ZIP_STORED if name.endswith(".png") else ZIP_DEFLATED
            file = ZipInfo(name)
            file.external_attr = _READABLE << 16
            archive.writestr(file, content, compress_type=method)
    return out.getvalue()
