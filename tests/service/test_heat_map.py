"""The heat map of a likelihood."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from models.subscale import Bytes, Progress
from service.contract.likelihood import Likelihood
from service.heat_map import COLOURS, heat_map
from service.images import ImageFormat, encode
from tests.harness.drawing import GEOMETRY, a_likelihood


def of_bits(bits: float, grey: int = 255) -> Bytes:
    """Return the heat map of an even image, each of whose pixels has so many bits."""
    image = np.full((GEOMETRY.size, GEOMETRY.size, 3), grey, np.uint8)
    each = np.full(GEOMETRY.slice_shape, bits / (2 * GEOMETRY.channels), np.float32)
    return heat_map(Likelihood(given=Progress.of(image, GEOMETRY), slices=(each,) * len(GEOMETRY.steps)))


def test_colours_follow_the_square_root_of_the_bits() -> None:
    """From white for none to the last colour for as many as an uncompressed pixel has, or more."""
    full = GEOMETRY.bits * GEOMETRY.channels
    shown = [of_bits(bits)[0, 0].tolist() for bits in (0, full / 16, full / 4, full, 3 * full)]
    assert shown == [COLOURS[at].tolist() for at in (0, 1, 2, 4, 4)]


def test_the_image_shows_through() -> None:
    """Where it is dark the map is a little darker."""
    assert of_bits(0, grey=0)[0, 0].tolist() == [217, 217, 217]


def test_a_heat_map_is_a_file_like_an_image() -> None:
    """Also before the first slice, and enlarged."""
    file = encode(replace(a_likelihood(), slices=()), ImageFormat.PNG, scale=2, text={"Model": "toy"})
    image = Image.open(io.BytesIO(file))
    assert image.size == (2 * GEOMETRY.size,) * 2
    assert image.info["Model"] == "toy"
