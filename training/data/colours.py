"""Colour in OKLCH: a palette of hues with distinct names, and the name of any colour.

OKLab after Bjorn Ottosson, "A perceptual color space for image processing" (2020). L in 0..1, chroma C from 0, hue in degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.vocabulary import HUE, NEUTRAL

Floats = NDArray[np.float64]
Range = tuple[float, float]

_LMS_FROM_LAB: Final = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_RGB_FROM_LMS: Final = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
_LAB_FROM_LMS: Final = np.linalg.inv(_LMS_FROM_LAB)
_LMS_FROM_RGB: Final = np.linalg.inv(_RGB_FROM_LMS)

_DARK_LINEAR: Final = 0.0031308
_DARK_SRGB: Final = 0.04045
_GAMUT: Final = 0.5 + 1e-4

_WHITE: Final = 250
_COLOURED: Final = 0.2

NEUTRAL_CHROMA: Final = 0.055
"""A colour with less chroma than this has no hue."""


@dataclass(frozen=True, kw_only=True)
class Hue:
    """One region of the palette: the range of the colours of its tiles."""

    lightness: Range
    chroma: Range
    degrees: Range


PALETTE: Final[dict[str, tuple[Hue, ...]]] = {
    "red": (Hue(lightness=(0.55, 0.63), chroma=(0.20, 0.23), degrees=(23, 30)),),
    "orange": (Hue(lightness=(0.70, 0.76), chroma=(0.16, 0.18), degrees=(50, 60)),),
    "yellow": (Hue(lightness=(0.84, 0.89), chroma=(0.16, 0.18), degrees=(88, 97)),),
    "lime": (Hue(lightness=(0.78, 0.84), chroma=(0.18, 0.21), degrees=(122, 129)),),
    "green": (Hue(lightness=(0.57, 0.66), chroma=(0.15, 0.18), degrees=(146, 152)),),
    "teal": (Hue(lightness=(0.56, 0.68), chroma=(0.09, 0.12), degrees=(182, 194)),),
    "sky": (Hue(lightness=(0.71, 0.79), chroma=(0.12, 0.15), degrees=(224, 236)),),
    "blue": (Hue(lightness=(0.48, 0.59), chroma=(0.19, 0.24), degrees=(258, 266)),),
    "violet": (Hue(lightness=(0.47, 0.58), chroma=(0.20, 0.25), degrees=(290, 299)),),
    "magenta": (Hue(lightness=(0.58, 0.65), chroma=(0.22, 0.26), degrees=(326, 338)),),
    "pink": (Hue(lightness=(0.76, 0.82), chroma=(0.11, 0.14), degrees=(354, 364)),),
    "brown": (Hue(lightness=(0.40, 0.48), chroma=(0.07, 0.09), degrees=(50, 62)),),
    NEUTRAL: (
        Hue(lightness=(0.24, 0.58), chroma=(0.0, 0.012), degrees=(240, 280)),
        Hue(lightness=(0.86, 0.94), chroma=(0.0, 0.012), degrees=(240, 280)),
    ),
}
"""The hues of tiles: one region each, two for neutral (dark greys, and pale ones that a glyph alone may not take)."""


def srgb(lch: Floats) -> Floats:
    """Convert OKLCH (..., 3) to sRGB (..., 3) in 0..1, clipped: reduce chroma first with `fit`."""
    linear = np.clip(_linear(lch), 0.0, 1.0)
    encoded = np.where(linear <= _DARK_LINEAR, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(encoded, np.float64)


def oklch(rgb: Floats) -> Floats:
    """Convert sRGB (..., 3) in 0..1 to OKLCH (..., 3), hue in 0..360."""
    linear = np.where(rgb <= _DARK_SRGB, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lab = np.cbrt(linear @ _LMS_FROM_RGB.T) @ _LAB_FROM_LMS.T
    degrees = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    return np.stack([lab[..., 0], np.hypot(lab[..., 1], lab[..., 2]), degrees], axis=-1)


def fit(lch: Floats) -> Floats:
    """Return the colours (..., 3) with chroma reduced, in steps of 1/32, until sRGB can show them."""
    colours = lch.reshape(-1, 3)
    tries = np.repeat(colours[None], 33, axis=0)
    tries[..., 1] *= np.linspace(1.0, 0.0, 33)[:, None]
    shown = (np.abs(_linear(tries) - 0.5) <= _GAMUT).all(axis=-1)  # (33, n)
    kept = tries[shown.argmax(axis=0), np.arange(len(colours))]
    return np.asarray(kept, np.float64).reshape(lch.shape)


def hue_index(rgb: Floats) -> NDArray[np.int64]:
    """Return positions in `HUE.values` of colours (..., 3) in 0..1: the nearest hue of the palette, neutral if pale."""
    lch = oklch(rgb)
    turn = np.abs((lch[..., None, 2] - _CENTRES[:, 2] + 180) % 360 - 180)
    distance = (turn / 18) ** 2 + ((lch[..., None, 0] - _CENTRES[:, 0]) / 0.16) ** 2
    pale = lch[..., 1] < NEUTRAL_CHROMA
    return np.where(pale, HUE.values.index(NEUTRAL), distance.argmin(axis=-1))


def hue_of(rgb: Floats) -> str:
    """Return the name of one colour (3,) in 0..1."""
    return HUE.values[int(hue_index(rgb))]


def dominant_hue(image: NDArray[np.uint8]) -> str:
    """Return the hue that covers most of an image (H, W, 3) on white; neutral if almost nothing is coloured."""
    painted = image[image.min(axis=-1) < _WHITE] / 255.0
    named = hue_index(painted)
    coloured = named[named != HUE.values.index(NEUTRAL)]
    if len(coloured) < max(1, _COLOURED * len(named)):
        return NEUTRAL
    return HUE.values[int(np.bincount(coloured).argmax())]


def _linear(lch: Floats) -> Floats:
    radians = np.radians(lch[..., 2])
    lab = np.stack([lch[..., 0], lch[..., 1] * np.cos(radians), lch[..., 1] * np.sin(radians)], axis=-1)
    return np.asarray((lab @ _LMS_FROM_LAB.T) ** 3 @ _RGB_FROM_LMS.T, np.float64)


_CENTRES: Final = np.array(
    [
        [np.mean(region.lightness), np.mean(region.chroma), np.mean(region.degrees)]
        for region in (PALETTE[name][0] for name in HUE.values if name != NEUTRAL)
    ]
)
