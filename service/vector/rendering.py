"""Vector forms as PNG files and images: a glyph on a ground from the exact areas of its curves, traced layers by resvg."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from models.subscale import Bytes
from service.vector.edges import edges
from service.vector.paint import Floats, Paint
from service.vector.svg import AS_IS, Recolouring, recoloured, svg
from service.vector.tracing import TracedForm
from service.vector.vector_form import GlyphForm, VectorForm

_CLEAR: Final = (0, 0, 0, 0)
_SHADES: Final = 2048
"""Colours of a gradient: so many that rounding to one of them adds a sixteenth of a level at most."""

_FINENESS: Final = 4
_FINEST: Final = 512


def png(form: VectorForm, size: int, colours: Recolouring = AS_IS) -> bytes:
    """Return the form as a PNG of size x size pixels, antialiased, transparent where nothing is painted."""
    out = io.BytesIO()
    image(form, size, colours).save(out, "PNG")
    return out.getvalue()


def image(form: VectorForm, size: int, colours: Recolouring = AS_IS) -> Image.Image:
    """Return the form as an RGBA image of size x size pixels."""
    if isinstance(form, TracedForm):
        return by_resvg(svg(form, title="", colours=colours), size)
    return _glyph_on_ground(recoloured(form, colours), size, colours)


def by_resvg(document: str, size: int) -> Image.Image:
    """Return an SVG document as an RGBA image of size x size pixels.

    resvg knows the coverage of a pixel in sixteenths only. A small image is therefore rendered larger and averaged.
    """
    times = max(1, min(_FINENESS, _FINEST // size))
    whole = resvg_py.svg_to_bytes(svg_string=document, width=times * size, height=times * size, skip_system_fonts=True)
    shown = Image.open(io.BytesIO(whole)).convert("RGBA")
    return shown if times == 1 else shown.convert("RGBa").reduce(times).convert("RGBA")


def _glyph_on_ground(form: GlyphForm, size: int, colours: Recolouring) -> Image.Image:
    scale = size / form.side
    out = Image.new("RGBA", (size, size), colours.background or _CLEAR)
    if form.ground:
        out.alpha_composite(_layer(form.ground.outline(), form.ground_paint, scale, size))
    if form.glyph:
        out.alpha_composite(
            _layer(np.concatenate([each.controls for each in form.glyph]), form.glyph_paint, scale, size)
        )
    return out


def _layer(controls: Floats, paint: Paint, scale: float, size: int) -> Image.Image:
    """Paint inside closed curves of cubic segments (N, 4, 2) by the evenodd rule."""
    layer = _painted(paint, scale, size)
    layer.putalpha(Image.fromarray(_coverage(controls * scale, size)))
    return layer


def _coverage(controls: Floats, size: int) -> Bytes:
    """The share of each pixel inside the curves, in levels of 255."""
    area = edges(controls, size).coverage().astype(np.float32)
    area -= 2 * np.rint(area / 2)  # evenodd: what is inside twice is outside
    return np.asarray(np.rint(255 * np.abs(area)), np.uint8)


def _painted(paint: Paint, scale: float, size: int) -> Image.Image:
    """An image of size x size pixels of paint."""
    if paint.flat:
        return Image.new("RGBA", (size, size), paint.start)
    ramp = np.linspace(paint.start, paint.stop, _SHADES)
    shades = np.pad(np.rint(ramp).astype(np.uint8), ((0, 0), (0, 1)), constant_values=255).view(np.uint32)[:, 0]
    return Image.fromarray(shades[_along(paint, scale, size)].view(np.uint8).reshape(size, size, 4))


def _along(paint: Paint, scale: float, size: int) -> NDArray[np.int32]:
    """How far each pixel is along a gradient, in shades."""
    axis = np.subtract(paint.end, paint.origin)
    slope = (_SHADES - 1) * axis / (axis @ axis)
    middles = (np.arange(size) + 0.5) / scale
    across, down = ((middles - start) * each for start, each in zip(paint.origin, slope, strict=True))
    along = np.add.outer(down, across, dtype=np.float32)
    return np.asarray(np.clip(along + 0.5, 0, _SHADES - 1), np.int32)
