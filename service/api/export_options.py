"""Query parameters of exports: size and colours of an image's vector form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from fastapi import Depends, Query
from pydantic import AfterValidator

from service.errors import FieldError
from service.images import ImageFormat
from service.vector.export import ImageExport
from service.vector.paint import Colour
from service.vector.svg import WHITE, Recolouring

_COLOUR: Final = "#?[0-9A-Fa-f]{6}"
_ONE_OR_TWO: Final = f"^{_COLOUR}(,{_COLOUR})?$"
_BACKGROUND: Final = f"^(transparent|white|{_COLOUR})$"


def matching(pattern: str, expected: str) -> AfterValidator:
    """Return a validator that says in words what a parameter must look like, instead of the pattern."""

    def check(value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value):
            raise ValueError(f"expected {expected}")
        return value

    return AfterValidator(check)


AColour = Annotated[str | None, matching(_ONE_OR_TWO, "a colour such as #0a84ff, or two such as #0a84ff,#5e5ce6")]
ABackground = Annotated[str | None, matching(_BACKGROUND, "transparent, white or a colour such as #0a84ff")]


class ExportStyle(StrEnum):
    """Styles of an export."""

    FLAT = "flat"


@dataclass(frozen=True, kw_only=True)
class ColourOptions:
    """The colours as they were sent; None where they were not."""

    background: str | None
    ground: str | None
    glyph: str | None
    style: ExportStyle | None

    @property
    def sent(self) -> bool:
        """Whether there is one."""
        return any(each is not None for each in (self.background, self.ground, self.glyph, self.style))

    def recolouring(self, *, default: str = "white") -> Recolouring:
        """Return the colours; without a background, that of `default`."""
        background = self.background or default
        behind = {"white": WHITE, "transparent": None}
        return Recolouring(
            background=behind[background] if background in behind else parsed(background)[0],
            ground=parsed(self.ground) if self.ground else None,
            glyph=parsed(self.glyph) if self.glyph else None,
            flat=self.style is ExportStyle.FLAT,
        )


async def colour_options(
    background: Annotated[
        ABackground,
        Query(
            json_schema_extra={"pattern": _BACKGROUND}, description="What lies behind: transparent, white or #rrggbb."
        ),
    ] = None,
    ground: Annotated[
        AColour,
        Query(
            json_schema_extra={"pattern": _ONE_OR_TWO},
            description="Colour of the ground, or two for a gradient: #rrggbb,#rrggbb.",
        ),
    ] = None,
    glyph: Annotated[
        AColour, Query(json_schema_extra={"pattern": _ONE_OR_TWO}, description="Colour of the glyph, or two.")
    ] = None,
    style: Annotated[ExportStyle | None, Query(description="flat: no gradients.")] = None,
) -> ColourOptions:
    """Return the colours of a request."""
    return ColourOptions(background=background, ground=ground, glyph=glyph, style=style)


Colours = Annotated[ColourOptions, Depends(colour_options)]


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Size and colours of an export."""

    size: int | None
    colours: ColourOptions

    @property
    def sent(self) -> bool:
        """Whether there is a parameter that only the vector form can satisfy."""
        return self.size is not None or self.colours.sent

    def export(self, kind: ImageFormat, *, title: str, side: int) -> ImageExport:
        """Return the export of an image of side x side pixels. Raises FieldError."""
        if self.colours.background == "transparent" and kind is ImageFormat.JPEG:
            raise FieldError("background", "a JPEG cannot be transparent; request png, webp or svg")
        size = self.size if kind is ImageFormat.SVG else self.size or side
        return ImageExport(format=kind, size=size, title=title, colours=self.colours.recolouring())


async def export_options(
    colours: Colours,
    size: Annotated[
        int | None, Query(ge=16, le=1024, description="Pixels along the image, rendered from its vector form.")
    ] = None,
) -> ExportOptions:
    """Return the parameters of a request."""
    return ExportOptions(size=size, colours=colours)


Options = Annotated[ExportOptions, Depends(export_options)]


def parsed(text: str) -> tuple[Colour, ...]:
    """Return the colours of `#rrggbb` or `#rrggbb,#rrggbb`."""
    codes = [each.removeprefix("#") for each in text.split(",")]
    return tuple((int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)) for code in codes)
