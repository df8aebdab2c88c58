"""Query parameters of exports: size and colours of an image's vector form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from fastapi import Depends, Query

from service.errors import FieldError
from service.images import ImageFormat
from service.vector.export import ImageExport
from service.vector.paint import Colour
from service.vector.svg import WHITE, Recolouring

_COLOUR: Final = "#?[0-9A-Fa-f]{6}"
_ONE_OR_TWO: Final = f"^{_COLOUR}(,{_COLOUR})?$"


class ExportStyle(StrEnum):
    """Styles of an export."""

    FLAT = "flat"


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The parameters as they were sent; None where they were not."""

    size: int | None
    background: str | None
    ground: str | None
    glyph: str | None
    style: ExportStyle | None

    @property
    def sent(self) -> bool:
        """Whether there is one that only the vector form can satisfy."""
        return any(each is not None for each in (self.size, self.background, self.ground, self.glyph, self.style))

    def export(self, kind: ImageFormat, *, title: str, side: int) -> ImageExport:
        """Return the export of an image of side x side pixels. Raises FieldError."""
        if self.background == "transparent" and kind is ImageFormat.JPEG:
            raise FieldError("background", "a JPEG cannot be transparent; request png, webp or svg")
        size = self.size if kind is ImageFormat.SVG else self.size or side
        return ImageExport(format=kind, size=size, title=title, colours=self.colours)

    @property
    def colours(self) -> Recolouring:
        """The colours that were sent, and white behind everything if nothing else was."""
        behind = {None: WHITE, "white": WHITE, "transparent": None}
        return Recolouring(
            background=behind[self.background] if self.background in behind else parsed(self.background)[0],
            ground=parsed(self.ground) if self.ground else None,
            glyph=parsed(self.glyph) if self.glyph else None,
            flat=self.style is ExportStyle.FLAT,
        )


def export_options(
    size: Annotated[
        int | None, Query(ge=16, le=1024, description="Pixels along the image, rendered from its vector form.")
    ] = None,
    background: Annotated[
        str | None,
        Query(pattern=f"^(transparent|white|{_COLOUR})$", description="transparent, white (the default) or #rrggbb."),
    ] = None,
    ground: Annotated[
        str | None,
        Query(pattern=_ONE_OR_TWO, description="Colour of the ground, or two for a gradient: #rrggbb,#rrggbb."),
    ] = None,
    glyph: Annotated[str | None, Query(pattern=_ONE_OR_TWO, description="Colour of the glyph, or two.")] = None,
    style: Annotated[ExportStyle | None, Query(description="flat: no gradients.")] = None,
) -> ExportOptions:
    """Return the parameters of a request."""
    return ExportOptions(size=size, background=background, ground=ground, glyph=glyph, style=style)


Options = Annotated[ExportOptions, Depends(export_options)]


def parsed(text: str | None) -> tuple[Colour, ...]:
    """Return the colours of `#rrggbb` or `#rrggbb,#rrggbb`."""
    codes = [each.removeprefix("#") for each in (text or "").split(",")]
    return tuple((int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)) for code in codes)
