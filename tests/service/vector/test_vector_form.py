"""What is seen in an image: its ground, its paints, its glyph."""

from __future__ import annotations

import numpy as np
import pytest

from service.vector import rendering
from service.vector.edges import edges
from service.vector.ground import GroundShape
from service.vector.tracing import TracedForm
from service.vector.vector_form import GlyphForm, vector_form
from tests.service.vector.drawings import LETTER_L, ROUNDED, Draw, both, covered, disc, image, polygon, tile

STRAIGHT_LETTERS = {
    "E": (20.3, 12.2, 44.1, 19.4, 27.6, 28.3, 41.2, 35.1, 27.6, 44.7, 44.6, 51.8),
    "F": (20.3, 12.2, 44.1, 19.4, 27.6, 28.3, 41.2, 35.1, 27.6, 51.8),
    "H": (17.2, 12.6, 24.7, 28.4, 39.6, 12.6, 47.1, 51.9, 39.6, 35.3, 24.7, 51.9),
    "I": (28.4, 12.6, 35.7, 51.9),
    "L": (22.3, 14.2, 29.6, 44.7, 44.4, 51.5),
    "T": (15.6, 12.7, 48.2, 19.6, 35.6, 51.8, 28.2, 19.6),
}
"""x and y of the corners by turns: an edge changes one of them."""

HALF_A_FINE_PIXEL = 1 / 16
"""Pillow paints the whole of the fine pixels at the ends of a polygon's edges."""


@pytest.mark.parametrize(
    ("ground", "shape", "corner"),
    [
        (tile(30), GroundShape.CIRCLE, 30),
        (ROUNDED, GroundShape.ROUNDED, 15),
        (tile(8), GroundShape.ROUNDED, 8),
        (tile(0), GroundShape.SQUARE, 0),
    ],
)
def test_the_ground_is_found_and_snapped_to_the_grid(ground: Draw, shape: GroundShape, corner: int) -> None:
    form = vector_form(image(LETTER_L, ground=ground))
    assert isinstance(form, GlyphForm)
    assert form.ground is not None
    assert (form.ground.shape, form.ground.corner) == (shape, corner)
    assert (form.ground.x, form.ground.y, form.ground.half) == (32, 32, 30)


def test_a_glyph_on_white_has_no_ground() -> None:
    form = vector_form(image(LETTER_L))
    assert isinstance(form, GlyphForm)
    assert form.ground is None


def test_a_disc_off_the_middle_is_a_glyph_and_no_ground() -> None:
    form = vector_form(image(disc(30.5, 33.5, 27)))
    assert isinstance(form, GlyphForm)
    assert form.ground is None


def test_paints_are_those_of_the_image() -> None:
    form = vector_form(image(LETTER_L, ground=ROUNDED, top=(250, 130, 40), bottom=(230, 100, 20)))
    assert isinstance(form, GlyphForm)
    assert form.glyph_paint.flat
    assert form.glyph_paint.start == (255, 255, 255)
    paint = form.ground_paint
    assert paint.origin[0] == pytest.approx(paint.end[0])
    assert np.abs(np.subtract(paint.start, (249.4, 129.1, 39.4))).max() < 1.5
    assert np.abs(np.subtract(paint.stop, (230.6, 100.9, 20.6))).max() < 1.5


def test_the_edges_of_a_straight_letter_are_six_level_or_upright_lines_at_their_true_places() -> None:
    form = vector_form(image(LETTER_L, ground=ROUNDED))
    assert isinstance(form, GlyphForm)
    (curve,) = form.glyph
    assert curve.straight.tolist() == [True] * 6
    corners = curve.controls[:, 3]
    true = np.array([(22.3, 14.2), (29.6, 14.2), (29.6, 44.7), (44.4, 44.7), (44.4, 51.5), (22.3, 51.5)])
    nearest = np.hypot(*(corners[:, None] - true[None]).transpose(2, 0, 1)).min(axis=1)
    assert nearest.max() < 0.2
    steps = np.abs(np.roll(corners, -1, axis=0) - corners)
    assert (steps.min(axis=1) < 0.02).all()


@pytest.mark.parametrize("letter", STRAIGHT_LETTERS)
@pytest.mark.parametrize("ground", [None, ROUNDED])
def test_a_straight_letter_has_straight_edges_alone(letter: str, ground: Draw | None) -> None:
    """In the noise of a model; each corner within 0.5 % of the image's side of the line through its edge's true ends."""
    values = STRAIGHT_LETTERS[letter]
    across, down = np.repeat(values[::2], 2), np.roll(np.repeat(values[1::2], 2), 1)
    corners = np.stack([across, down], axis=1)
    noise = np.random.default_rng(8).integers(-4, 5, (64, 64, 3))
    pixels = np.clip(image(polygon(*map(tuple, corners.tolist())), ground=ground) + noise, 0, 255).astype(np.uint8)
    form = vector_form(pixels)
    assert isinstance(form, GlyphForm)
    (curve,) = form.glyph
    assert curve.straight.tolist() == [True] * len(corners)
    true = corners + HALF_A_FINE_PIXEL
    nearest = np.hypot(*(curve.controls[:, None, 0] - true[None]).transpose(2, 0, 1)).min(axis=1)
    assert nearest.max() < 0.005 * 64


def test_slanted_edges_are_lines_with_sharp_corners() -> None:
    form = vector_form(image(polygon((35.2, 12.5), (51.3, 35.6), (28.2, 51.7), (12.1, 28.6)), ground=ROUNDED))
    assert isinstance(form, GlyphForm)
    (curve,) = form.glyph
    assert curve.straight.tolist() == [True] * 4


def test_a_disc_is_four_equal_arcs() -> None:
    form = vector_form(image(disc(31.2, 33.1, 9.4), ground=ROUNDED))
    assert isinstance(form, GlyphForm)
    (curve,) = form.glyph
    ends = curve.controls[:, 3]
    assert len(ends) == 4
    assert np.abs(np.hypot(*(ends - (31.2, 33.1)).T) - 9.4).max() < 0.1


def test_a_sliver_stays_as_long_as_it_is() -> None:
    form = vector_form(image(polygon((30.1, 16), (30.9, 16), (30.9, 48), (30.1, 48)), ground=ROUNDED))
    assert isinstance(form, GlyphForm)
    ends = np.concatenate([curve.controls[:, 3] for curve in form.glyph])
    assert ends[:, 1].min() > 15
    assert ends[:, 1].max() < 49


@pytest.mark.parametrize("turn", [0, 20, 90, 135])
@pytest.mark.parametrize("width", [0.8, 1.0, 1.4])
def test_a_thin_stroke_keeps_its_width_up_to_its_ends(turn: float, width: float) -> None:
    """No point of its contour may lie across its ends: its sides alone enclose nothing, or a triangle."""
    along = np.exp(1j * np.radians(turn))
    corners = 40.3 + 38.6j + along * np.array([-11 - width / 2 * 1j, 11 - width / 2 * 1j, 11 + width / 2 * 1j])
    corners = np.append(corners, corners[0] + corners[2] - corners[1])
    stroke = polygon(*zip(corners.real.tolist(), corners.imag.tolist(), strict=True))
    form = vector_form(image(both(disc(14, 14, 6), stroke), ground=ROUNDED))
    assert isinstance(form, GlyphForm)
    seen = np.abs(edges(np.concatenate([curve.controls for curve in form.glyph]), 64).coverage())
    true = covered(stroke)[..., 0]
    seen[:22, :22] = 0
    assert np.minimum(seen, true).sum() / np.maximum(seen, true).sum() > 0.85


def test_an_image_of_several_inks_is_traced() -> None:
    colours = np.random.default_rng(3).integers(0, 255, (8, 8, 3), np.uint8)
    form = vector_form(colours.repeat(8, axis=0).repeat(8, axis=1))
    assert isinstance(form, TracedForm)
    assert len(form.layers) > 8


@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8, 1), (16, 16, 1), (32, 32, 3)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_flat_colour_has_a_form_at_any_size(shape: tuple[int, ...], level: int) -> None:
    form = vector_form(np.full(shape, level, np.uint8))
    assert (np.asarray(rendering.image(form, 16))[..., :3] == level).all()


def test_noise_of_a_few_levels_changes_no_ground_and_no_edge() -> None:
    clean = image(LETTER_L, ground=ROUNDED).astype(int)
    noisy = np.clip(clean + np.random.default_rng(5).integers(-4, 5, clean.shape), 0, 255).astype(np.uint8)
    form = vector_form(noisy)
    assert isinstance(form, GlyphForm)
    assert form.ground is not None
    assert form.ground.shape is GroundShape.ROUNDED
    assert form.glyph[0].straight.sum() >= 4
