"""Images whose parts are known: a polygon or a disc, on a shape, antialiased as the data set's are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from models.subscale import Bytes

SIDE = 64
FINE = 8

Draw = Callable[[ImageDraw.ImageDraw], None]


def polygon(*places: tuple[float, float]) -> Draw:
    """Draw a polygon, in pixels of the image."""
    return lambda pen: pen.polygon([(x * FINE, y * FINE) for x, y in places], fill=255)


def disc(x: float, y: float, radius: float) -> Draw:
    """Draw a disc."""
    return lambda pen: pen.ellipse([each * FINE for each in (x - radius, y - radius, x + radius, y + radius)], fill=255)


def both(first: Draw, second: Draw) -> Draw:
    """Draw one, then the other."""

    def draw(pen: ImageDraw.ImageDraw) -> None:
        first(pen)
        second(pen)

    return draw


def tile(corner: float) -> Draw:
    """Draw the ground of the data set, with corners of this radius."""
    box = [2 * FINE, 2 * FINE, 62 * FINE - 1, 62 * FINE - 1]
    return lambda pen: pen.rounded_rectangle(box, radius=corner * FINE, fill=255)


def covered(draw: Draw) -> np.ndarray:
    """Return the coverage (64, 64, 1) of what is drawn."""
    mask = Image.new("L", (SIDE * FINE, SIDE * FINE))
    draw(ImageDraw.Draw(mask))
    return np.asarray(mask.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)[..., None] / 255


def image(
    glyph: Draw,
    *,
    ground: Draw | None = None,
    top: Sequence[int] = (40, 90, 220),
    bottom: Sequence[int] = (20, 60, 190),
    ink: Sequence[int] = (255, 255, 255),
) -> Bytes:
    """Return an image (64, 64, 3): a glyph on a ground with a gradient downwards, or the glyph alone with that gradient."""
    down = (np.arange(SIDE) + 0.5)[:, None, None] / SIDE
    paint = np.broadcast_to(np.array(top) + down * np.subtract(bottom, top), (SIDE, SIDE, 3))
    if ground is None:
        pixels = 255 + (paint - 255) * covered(glyph)
    else:
        pixels = 255 + (paint + (np.array(ink) - paint) * covered(glyph) - 255) * covered(ground)
    return np.asarray(np.rint(pixels), np.uint8)


LETTER_L = polygon((22.3, 14.2), (29.6, 14.2), (29.6, 44.7), (44.4, 44.7), (44.4, 51.5), (22.3, 51.5))
ROUNDED = tile(15)
