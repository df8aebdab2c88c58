"""Curves that move until they cover what the image shows."""

from __future__ import annotations

import numpy as np
import pytest

from service.vector.closed_curves import Curve, MovableCurve, ellipse, movable, thirds
from service.vector.edges import edges
from service.vector.paint import Floats
from service.vector.refinement import influence_of, refined

SIDE = 24


def polygon(*corners: tuple[float, float]) -> MovableCurve:
    """A closed curve of lines, clockwise."""
    places = np.array(corners)[::-1]
    lines = [thirds(start, end) for start, end in zip(places, np.roll(places, -1, axis=0), strict=True)]
    curve = Curve(controls=np.stack(lines), straight=np.ones(len(places), np.bool_))
    return movable(curve, smooth=np.zeros(len(places), np.bool_))


def circle(x: float, y: float, radius: float, *, reverse: bool = False) -> MovableCurve:
    return ellipse(np.array([x, y]), np.array([radius, radius]), reverse=reverse)


def rounded_bar() -> MovableCurve:
    """A slanted bar whose ends are half circles: two lines and two pairs of arcs, all joints smooth."""
    reach = 4 * 0.5522847
    controls = np.array(
        [
            thirds(np.array([8.0, 8.0]), np.array([16.0, 8.0])),
            [(16, 8), (16 + reach, 8), (20, 12 - reach), (20, 12)],
            [(20, 12), (20, 12 + reach), (16 + reach, 16), (16, 16)],
            thirds(np.array([16.0, 16.0]), np.array([8.0, 16.0])),
            [(8, 16), (8 - reach, 16), (4, 12 + reach), (4, 12)],
            [(4, 12), (4, 12 - reach), (8 - reach, 8), (8, 8)],
        ]
    )
    straight = np.array([True, False, False, True, False, False])
    slanted = 12.3 + (controls - 12) @ ((0.8, 0.6), (-0.6, 0.8))
    return movable(Curve(controls=slanted, straight=straight), smooth=np.ones(6, np.bool_))


def coverage(*curves: MovableCurve | Curve) -> Floats:
    plain = [each.curve if isinstance(each, MovableCurve) else each for each in curves]
    return edges(np.concatenate([each.controls for each in plain]), SIDE).coverage()


def test_the_coverage_of_a_rectangle_is_its_overlap_with_each_pixel() -> None:
    found = coverage(polygon((10.7, 3.25), (5.2, 3.25), (5.2, 9.5), (10.7, 9.5)))
    across, down = np.zeros(SIDE), np.zeros(SIDE)
    across[5:11], down[3:10] = 1, 1
    across[[5, 10]], down[[3, 9]] = (0.8, 0.7), (0.75, 0.5)
    assert found == pytest.approx(np.outer(down, across), abs=1e-9)


def test_the_coverage_of_a_rectangle_does_not_depend_on_where_the_handles_of_its_lines_are() -> None:
    """Handles at the start make the end of a line fast: its edges must still be shorter than a pixel."""
    even = polygon((20.7, 1.1), (2.3, 1.1), (2.3, 22.05), (20.7, 22.05)).curve
    fast = Curve(controls=even.controls[:, [0, 0, 0, 3]], straight=even.straight)
    assert coverage(fast) == pytest.approx(coverage(even), abs=1e-6)


def test_what_is_beyond_the_borders_covers_nothing_more() -> None:
    across, down = np.zeros(SIDE), np.zeros(SIDE)
    across[20:], down[:3] = 1, 1
    found = coverage(polygon((30, -4), (20, -4), (20, 3), (30, 3)), polygon((-2, 10), (-5, 10), (-5, 30), (-2, 30)))
    assert found == pytest.approx(np.outer(down, across), abs=1e-9)


def test_the_coverage_of_a_ring_has_its_area_and_a_hole() -> None:
    found = coverage(circle(12.3, 11.6, 8), circle(12.3, 11.6, 4, reverse=True))
    assert found.sum() == pytest.approx(np.pi * (64 - 16), rel=2e-3)
    assert found[11, 12] == pytest.approx(0, abs=1e-9)
    assert found[11, 6] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    "curve",
    [polygon((15.3, 4.2), (4.1, 9.7), (12.2, 19.4)), circle(11, 12.4, 6), circle(1.3, 21.2, 6.1), rounded_bar()],
)
def test_slopes_are_the_derivative_of_coverage(curve: MovableCurve) -> None:
    outline = edges(curve.curve.controls, SIDE)
    pixels = np.unique(outline.pixel)
    slopes = outline.slopes(pixels, influence_of([curve]))
    steps = 1e-4 * np.eye(slopes.shape[1])
    expected = [(coverage(curve.moved(step)) - coverage(curve.moved(-step))).ravel()[pixels] / 2e-4 for step in steps]
    assert slopes == pytest.approx(np.stack(expected, axis=1), abs=0.06)


@pytest.mark.parametrize(
    ("first", "true"),
    [
        (
            polygon((15.1, 5.1), (4.9, 5.1), (4.9, 18.1), (15.1, 18.1)),
            polygon((15.3, 4.8), (4.6, 4.8), (4.6, 18.3), (15.3, 18.3)),
        ),
        (polygon((15, 4), (4, 10), (12, 19)), polygon((15.4, 4.2), (3.9, 9.7), (12.3, 19.3))),
        (circle(12, 12, 6), circle(12.3, 11.8, 6.4)),
    ],
)
def test_a_curve_near_the_true_one_becomes_it(first: MovableCurve, true: MovableCurve) -> None:
    (found,) = refined([first], coverage(true))
    assert found.controls == pytest.approx(true.curve.controls, abs=0.1)


def test_a_stroke_thinner_than_a_pixel_has_its_true_width() -> None:
    true = polygon((10.9, 4.2), (10.2, 4.2), (10.2, 18.6), (10.9, 18.6))
    (found,) = refined([polygon((10.7, 4), (10.3, 4), (10.3, 19), (10.7, 19))], coverage(true))
    assert np.ptp(found.controls[..., 0]) == pytest.approx(0.7, abs=0.03)


def test_level_and_upright_lines_circles_and_smooth_joints_stay_so_in_noise() -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, (SIDE, SIDE))
    box, disc, bar = (
        refined([each], coverage(each) + noise)[0]
        for each in (polygon((15, 5), (5, 5), (5, 18), (15, 18)), circle(12, 12, 6), rounded_bar())
    )
    assert np.abs(box.controls[:, 3] - box.controls[:, 0]).min(axis=1) == pytest.approx(0, abs=1e-9)
    poles = disc.controls[:, 0]
    assert np.hypot(*(poles - poles.mean(axis=0)).T) == pytest.approx(np.full(4, np.ptp(poles[:, 0]) / 2))
    arrive, leave = (
        bar.controls[:, 3] - bar.controls[:, 2],
        np.roll(bar.controls[:, 1] - bar.controls[:, 0], -1, axis=0),
    )
    cosines = (arrive * leave).sum(axis=1) / np.hypot(*arrive.T) / np.hypot(*leave.T)
    assert cosines == pytest.approx(np.ones(6))


def test_an_image_without_a_glyph_has_no_curves() -> None:
    assert refined([], np.zeros((SIDE, SIDE))) == ()
