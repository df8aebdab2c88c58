"""Heat map of a likelihood: how many bits each pixel of an image takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.subscale import Bytes
from service.contract.likelihood import Likelihood

COLOURS = np.array([(255, 255, 255), (255, 237, 160), (254, 178, 76), (240, 59, 32), (120, 0, 30)])
"""RGB at equal distances along the scale: white, yellow, orange, red, dark red."""

SHADE = 0.15
"""How much darker a black pixel of the image is than a white one, so that the image can be seen below."""


def heat_map(likelihood: Likelihood) -> Bytes:
    """Return the heat map, (H, W, 3) uint8, over a pale grey version of the image.

    The scale is the square root of the bits. Its end is the size of an uncompressed pixel, 24 bits for RGB; a pixel may take
    more. So the colours of two images can be compared.
    """
    geometry, image = likelihood.geometry, likelihood.given.image()
    scale = np.sqrt(likelihood.bits_per_pixel() / (geometry.bits * geometry.channels)).clip(0, 1)
    ends = np.linspace(0, 1, len(COLOURS))
    colours = np.stack([np.interp(scale, ends, channel) for channel in COLOURS.T], -1)
    grey: NDArray[np.float64] = image.mean(-1, keepdims=True) / 255
    return (colours * (1 - SHADE * (1 - grey))).round().astype(np.uint8)
