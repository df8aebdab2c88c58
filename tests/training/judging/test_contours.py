"""Contours run where they should, once around each shape."""

import numpy as np
import pytest

from training.judging.contours import Floats, area, contours, evenly, length


def disc(radius: float, side: int = 40) -> Floats:
    at = np.arange(side) - (side - 1) / 2
    rows, columns = np.meshgrid(at, at, indexing="ij")
    return np.asarray(np.clip(radius + 0.5 - np.hypot(rows, columns), 0.0, 1.0), np.float64)


def test_a_disc_has_one_contour_of_its_own_area_and_length() -> None:
    """To a part in two hundred: precision below a pixel."""
    (curve,) = contours(disc(12.0))
    assert area(curve) == pytest.approx(np.pi * 144, rel=0.005)
    assert length(curve) == pytest.approx(2 * np.pi * 12, rel=0.005)
    assert np.abs(np.hypot(*(curve - 19.5).T) - 12).max() < 0.1


def test_a_hole_runs_the_other_way() -> None:
    """Its area is negative."""
    areas = sorted(area(curve) for curve in contours(disc(15.0) - disc(6.0)))
    assert areas == pytest.approx([-np.pi * 36, np.pi * 225], rel=0.01)


def test_ink_at_the_frame_is_closed_there() -> None:
    """A full field is one square of its own size."""
    (curve,) = contours(np.ones((8, 8)))
    assert area(curve) == pytest.approx(64, rel=0.01)


def test_an_empty_field_has_no_contour() -> None:
    """Nor has one that lies below the level everywhere."""
    assert contours(np.zeros((8, 8))) == []
    assert contours(np.full((8, 8), 0.4)) == []


@pytest.mark.parametrize("level", [0.3, 0.6])
def test_corners_that_touch_are_joined_or_not_by_their_mean(level: float) -> None:
    """Two pixels that touch at a corner: one shape at a low level, two at a high one."""
    field = np.zeros((6, 6))
    field[2, 2] = field[3, 3] = 1.0
    assert len(contours(field, level)) == (1 if level < 0.5 else 2)


def test_random_fields_have_closed_contours_only() -> None:
    """Every crossed edge lies on one contour: lengths of steps stay below a cell's diagonal."""
    field = np.random.default_rng(0).random((20, 20))
    curves = contours(field)
    assert len(curves) > 10
    assert all(np.hypot(*(np.roll(curve, -1, axis=0) - curve).T).max() < 1.5 for curve in curves)


def test_even_points_keep_their_distance() -> None:
    """Along a circle all steps are alike."""
    (curve,) = contours(disc(12.0))
    points = evenly(curve, 0.5)
    steps = np.hypot(*(np.roll(points, -1, axis=0) - points).T)
    assert steps.min() > 0.45
    assert steps.max() < 0.55
