"""An image taken apart: ground, its paint, the glyph's coverage and the glyph's paint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from service.vector.ground import Ground, find_ground
from service.vector.paint import Floats, Paint, Where, colour, gradient, plain, robust_plane, spread

_WHITE: Final = (255, 255, 255)
_FAINT: Final = 30.0
_STRONG: Final = 0.8
_CORE: Final = 0.97
_HALF: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Composition:
    """What an image is composed of, bottom first; on white.

    `coverage` (S, S) in 0..1: of the glyph. `rest`: mean difference between the image and its parts, in levels of 255.
    """

    ground: Ground | None
    ground_paint: Paint
    coverage: Floats
    glyph_paint: Paint
    rest: float


def take_apart(pixels: Floats) -> Composition:
    """Return the parts of an image (S, S, 3) in 0..255."""
    ground = find_ground(pixels)
    return _on_white(pixels) if ground is None else _on_ground(pixels, ground)


def coverage_of(pixels: Floats, below: Floats, above: Floats) -> Floats:
    """Return how far each pixel is from the lower towards the upper colour: (S, S) in 0..1."""
    across = above - below
    reach = np.maximum((across**2).sum(axis=-1), 1.0)
    return np.asarray(np.clip(((pixels - below) * across).sum(axis=-1) / reach, 0.0, 1.0), np.float64)


def _on_white(pixels: Floats) -> Composition:
    """A glyph alone, whose own paint may be a gradient."""
    strong = _strong(pixels - 255.0, np.ones(pixels.shape[:2], np.bool_))
    ink = robust_plane(pixels, strong, strong)
    coverage = coverage_of(pixels, np.full_like(pixels, 255.0), spread(ink, len(pixels)))
    inked = coverage > _HALF
    paint = gradient(ink, inked) if inked.any() else plain((0, 0, 0), len(pixels))
    return _composition(pixels, None, plain(_WHITE, len(pixels)), coverage, paint)


def _on_ground(pixels: Floats, ground: Ground) -> Composition:
    """A glyph of one colour on a shape that may have a gradient."""
    side = len(pixels)
    depth = ground.depth(side)
    inside = depth > 1.0
    fitted = robust_plane(pixels, ground.rim(side), inside)
    below = spread(fitted, side)
    strong = _strong(pixels - below, inside)
    ink = np.broadcast_to(np.median(pixels[strong], axis=0), pixels.shape)
    coverage = np.where(inside, coverage_of(pixels, below, ink), 0.0)
    core = coverage > _CORE
    tone = colour(np.median(pixels[core if core.any() else strong], axis=0))
    return _composition(pixels, ground, gradient(fitted, depth > 0), coverage, plain(tone, side))


def _composition(
    pixels: Floats, ground: Ground | None, ground_paint: Paint, coverage: Floats, glyph_paint: Paint
) -> Composition:
    side = len(pixels)
    below = ground_paint.over(side)
    shown = below + (glyph_paint.over(side) - below) * coverage[..., None]
    if ground:
        shown = 255.0 + (shown - 255.0) * ground.coverage(side)[..., None]
    return Composition(
        ground=ground,
        ground_paint=ground_paint,
        coverage=coverage,
        glyph_paint=glyph_paint,
        rest=float(np.abs(shown - pixels).mean()),
    )


def _strong(difference: Floats, inside: Where) -> Where:
    """Where ink is likely to cover the whole pixel: the difference is near the largest that is common."""
    strength = np.where(inside, np.linalg.norm(difference, axis=-1), 0.0)
    inked = strength[strength > _FAINT]
    full = float(np.quantile(inked, _STRONG)) if inked.size else float(strength.max())
    return np.asarray(inside & (strength >= _STRONG * full))
