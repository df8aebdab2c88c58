"""The vector form as an SVG document, in its own colours or in others."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final
from xml.sax.saxutils import escape

from service.vector.closed_curves import Curve
from service.vector.ground import Ground, GroundShape
from service.vector.paint import Colour, Floats, Paint
from service.vector.tracing import TracedForm
from service.vector.vector_form import GlyphForm, VectorForm

BOX: Final = 512
"""Units along the viewBox."""

_UNPRINTABLE: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no place for."""

WHITE: Final[Colour] = (255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class Recolouring:
    """Other colours than the image's own. One colour is flat, two are a gradient; None leaves it as it is.

    `background`: behind everything, None for transparent. `flat`: gradients of the image become their middle colour.
    """

    background: Colour | None = WHITE
    ground: tuple[Colour, ...] | None = None
    glyph: tuple[Colour, ...] | None = None
    flat: bool = False


AS_IS: Final = Recolouring()


def svg(form: VectorForm, *, title: str, colours: Recolouring = AS_IS, size: int | None = None) -> str:
    """Return the document; `size` is its width and height in pixels, without it it fills its place.

    A traced form has no ground or glyph: it keeps its colours.
    """
    extent = f' width="{size}" height="{size}"' if size else ""
    back = (
        ""
        if colours.background is None
        else f'<path id="background" d="M0 0h{BOX}v{BOX}H0Z" {_fill(colours.background)}/>'
    )
    body = _traced(form) if isinstance(form, TracedForm) else _glyph_on_ground(form, colours)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {BOX} {BOX}"{extent}>'
        f"<title>{escape(_UNPRINTABLE.sub('', title))}</title>{back}{body}</svg>\n"
    )


def recoloured(form: GlyphForm, colours: Recolouring) -> GlyphForm:
    """Return the form in other colours."""
    return replace(
        form,
        ground_paint=_repainted(form.ground_paint, colours.ground, flat=colours.flat),
        glyph_paint=_repainted(form.glyph_paint, colours.glyph, flat=colours.flat),
    )


def hexadecimal(colour: Colour) -> str:
    """Return a colour as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _glyph_on_ground(form: GlyphForm, colours: Recolouring) -> str:
    scale, form = BOX / form.side, recoloured(form, colours)
    paints = {"ground": form.ground_paint, "glyph": form.glyph_paint}
    shown = ["ground", "glyph"] if form.ground else ["glyph"]
    gradients = "".join(_gradient(name, paints[name], scale) for name in shown if not paints[name].flat)
    defs = f"<defs>{gradients}</defs>" if gradients else ""
    fills = {name: _fill(paint.start) if paint.flat else f'fill="url(#{name}-paint)"' for name, paint in paints.items()}
    ground = f'<g id="ground">{_shape(form.ground, fills["ground"], scale)}</g>' if form.ground else ""
    data = "".join(_path(each, scale) for each in form.glyph)
    return f'{defs}{ground}<g id="glyph"><path fill-rule="evenodd" {fills["glyph"]} d="{data}"/></g>'


def _traced(form: TracedForm) -> str:
    """All layers, scaled to the box."""
    paths = "".join(
        f'<path d="{layer.path}" {_fill(layer.colour)} transform="translate({layer.offset})"/>' for layer in form.layers
    )
    return f'<g id="traced" transform="scale({_number(BOX / form.side, 5)})">{paths}</g>'


def _repainted(paint: Paint, colours: tuple[Colour, ...] | None, *, flat: bool) -> Paint:
    """The paint in other colours, along the same line; `flat`: in its middle colour."""
    if colours:
        return replace(paint, start=colours[0], stop=colours[-1])
    return replace(paint, start=paint.middle, stop=paint.middle) if flat else paint


def _gradient(name: str, paint: Paint, scale: float) -> str:
    (x1, y1), (x2, y2) = ([_number(value * scale) for value in end] for end in (paint.origin, paint.end))
    return (
        f'<linearGradient id="{name}-paint" gradientUnits="userSpaceOnUse" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}">'
        f'<stop stop-color="{hexadecimal(paint.start)}"/><stop offset="1" stop-color="{hexadecimal(paint.stop)}"/>'
        "</linearGradient>"
    )


def _shape(ground: Ground, fill: str, scale: float) -> str:
    if ground.shape is GroundShape.CIRCLE:
        x, y, radius = (_number(each * scale) for each in (ground.x, ground.y, ground.half))
        return f'<circle cx="{x}" cy="{y}" r="{radius}" {fill}/>'
    x, y, extent = (_number(each * scale) for each in (ground.x - ground.half, ground.y - ground.half, 2 * ground.half))
    corners = f' rx="{_number(ground.corner * scale)}"' if ground.corner else ""
    return f'<rect x="{x}" y="{y}" width="{extent}" height="{extent}"{corners} {fill}/>'


def _path(curve: Curve, scale: float) -> str:
    """A closed path as SVG path data."""
    parts = [f"M{_place(curve.controls[0, 0], scale)}"]
    for controls, straight in zip(curve.controls, curve.straight, strict=True):
        letter, places = ("L", controls[3:]) if straight else ("C", controls[1:])
        parts.append(letter + " ".join(_place(each, scale) for each in places))
    return "".join(parts) + "Z"


def _place(at: Floats, scale: float) -> str:
    return f"{_number(at[0] * scale)} {_number(at[1] * scale)}"


def _number(value: float, digits: int = 1) -> str:
    """The shortest form."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _fill(colour: Colour) -> str:
    return f'fill="{hexadecimal(colour)}"'
