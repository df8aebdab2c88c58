"""The vector form of an image: a glyph on a ground, or traced layers of colour where an image is not that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from models.subscale import Bytes
from service.vector.closed_curves import Curve
from service.vector.composition import take_apart
from service.vector.ground import Ground
from service.vector.outline import contours
from service.vector.paint import Paint
from service.vector.paths import closed_path
from service.vector.refinement import refined
from service.vector.tracing import TracedForm, trace

MOST_REST: Final = 7.0
"""Mean difference, in levels of 255, from which on an image is no glyph on a ground."""

_LEAST_SIDE: Final = 16
"""Pixels below which there is too little to fit a shape to."""


@dataclass(frozen=True, kw_only=True)
class GlyphForm:
    """A glyph on a ground, or on white if there is none; `side` is the size of the image, the unit of all places."""

    side: int
    ground: Ground | None
    ground_paint: Paint
    glyph: tuple[Curve, ...]
    glyph_paint: Paint


VectorForm = GlyphForm | TracedForm


def vector_form(image: Bytes) -> VectorForm:
    """Return the vector form of an image (S, S, 1 or 3)."""
    coloured = np.broadcast_to(image, (*image.shape[:2], 3))
    side = len(coloured)
    if side < _LEAST_SIDE:
        return trace(coloured)
    parts = take_apart(coloured.astype(np.float64))
    if parts.rest > MOST_REST:
        return trace(coloured)
    return GlyphForm(
        side=side,
        ground=parts.ground,
        ground_paint=parts.ground_paint,
        glyph=refined([closed_path(each) for each in contours(parts.coverage)], parts.coverage),
        glyph_paint=parts.glyph_paint,
    )
