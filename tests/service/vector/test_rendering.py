"""Images of vector forms: exact areas, and what resvg shows of the same form's SVG document."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.subscale import Bytes
from service.vector import rendering
from service.vector.closed_curves import Curve, thirds
from service.vector.svg import AS_IS, Recolouring, svg
from service.vector.vector_form import GlyphForm, VectorForm, vector_form
from tests.service.vector.drawings import LETTER_L, ROUNDED, disc, image, tile

TRANSPARENT = Recolouring(background=None)
BAR = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><path fill="#0a84ff" d="M10.3 5.4h20v40h-20z"/></svg>'
)
ICONS = {
    "rounded": image(LETTER_L, ground=ROUNDED),
    "circle": image(disc(31, 34, 13), ground=tile(30), ink=(40, 20, 10)),
    "square": image(LETTER_L, ground=tile(0)),
    "lone": image(LETTER_L),
}


def pixels(shown: Image.Image) -> NDArray[np.int64]:
    return np.asarray(shown).astype(int)


def lone(*curves: Curve) -> GlyphForm:
    """Return a flat glyph of these curves, without a ground."""
    form = vector_form(ICONS["lone"])
    assert isinstance(form, GlyphForm)
    flat = replace(form.glyph_paint, start=(0x0A, 0x84, 0xFF), stop=(0x0A, 0x84, 0xFF))
    return replace(form, glyph=curves, glyph_paint=flat)


def rectangle(left: float, top: float, right: float, bottom: float) -> Curve:
    corners = np.array([(left, top), (left, bottom), (right, bottom), (right, top)])
    lines = [thirds(start, end) for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    return Curve(controls=np.stack(lines), straight=np.ones(4, np.bool_))


@pytest.mark.parametrize("size", [16, 64, 100, 1024])
def test_a_partly_covered_pixel_has_the_alpha_of_its_share_and_the_whole_colour(size: int) -> None:
    shown = pixels(rendering.image(lone(rectangle(10.3, 5.4, 30.3, 45.4)), size, TRANSPARENT))
    scale, middle = size / 64, size * 20 // 64
    for line, edge in ((shown[middle], 10.3 * scale), (shown[:, middle], 5.4 * scale)):
        assert line[int(edge), 3] == pytest.approx(255 * (1 - edge % 1), abs=1)
    assert (shown[shown[..., 3] > 0, :3] == (0x0A, 0x84, 0xFF)).all()


def test_what_is_inside_twice_is_outside() -> None:
    form = lone(rectangle(10, 10, 50, 50), rectangle(20, 20, 30, 30))
    alpha = pixels(rendering.image(form, 64, TRANSPARENT))[..., 3]
    assert [alpha[15, 15], alpha[25, 25], alpha[5, 5]] == [255, 0, 0]


@pytest.mark.parametrize("colours", [AS_IS, TRANSPARENT, Recolouring(background=(1, 2, 3), glyph=((9, 9, 200),))])
@pytest.mark.parametrize("size", [64, 300, 1024])
@pytest.mark.parametrize("icon", ICONS.values(), ids=ICONS)
def test_an_image_is_what_resvg_shows_of_the_document(icon: Bytes, size: int, colours: Recolouring) -> None:
    """But for antialiasing: resvg knows the coverage of a pixel in sixteenths, the document tenths of its units."""
    form = vector_form(icon)
    shown = pixels(rendering.image(form, size, colours).convert("RGBa"))
    far = np.abs(shown - pixels(rendering.by_resvg(svg(form, title="", colours=colours), size).convert("RGBa")))
    assert far.max() <= 255 / 4
    assert (far.max(axis=-1) > 1).mean() < 6 / size


def test_a_traced_form_is_rendered_in_its_colours() -> None:
    colours = np.random.default_rng(3).integers(0, 255, (4, 4, 3), np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    assert np.abs(pixels(rendering.image(vector_form(colours), 64))[..., :3] - colours).mean() < 1


@pytest.mark.parametrize("size", [16, 100, 1024])
@pytest.mark.parametrize("form", [vector_form(ICONS["rounded"]), vector_form(np.zeros((8, 8, 3), np.uint8))])
def test_a_png_has_the_requested_size_and_an_alpha_channel(form: VectorForm, size: int) -> None:
    opened = Image.open(io.BytesIO(rendering.png(form, size, TRANSPARENT)))
    assert (opened.size, opened.mode) == ((size, size), "RGBA")


@pytest.mark.parametrize("size", [32, 64, 128])
def test_a_pixel_that_resvg_covers_partly_has_the_alpha_of_its_share(size: int) -> None:
    """By itself resvg is up to an eighth off."""
    alpha = pixels(rendering.by_resvg(BAR, size))[..., 3] / 255
    scale = size / 64
    for found, edge in ((alpha[size // 2], 10.3 * scale), (alpha[:, size // 4], 5.4 * scale)):
        assert found[int(edge)] == pytest.approx(1 - edge % 1, abs=1 / 16)


def test_averaging_keeps_the_colour_of_a_partly_covered_pixel() -> None:
    shown = pixels(rendering.by_resvg(BAR, 64))
    assert np.abs(shown[32, 10, :3] - (0x0A, 0x84, 0xFF)).max() <= 1
