"""Least squares over all windows of a curve at once."""

from __future__ import annotations

import numpy as np
import pytest

from service.vector.window_fits import window_errors

POINTS = np.cumsum(np.random.default_rng(4).normal(0, 1, (90, 2)), axis=0)


@pytest.mark.parametrize("degree", [1, 3])
@pytest.mark.parametrize(("length", "end"), [(5, 5), (5, 40), (17, 89), (40, 77)])
def test_an_error_is_that_of_a_polynomial_fit(degree: int, length: int, end: int) -> None:
    inner = POINTS[end - length + 1 : end]
    _, errors, *_ = np.polyfit(np.linspace(-1, 1, len(inner)), inner, degree, full=True)
    line, cubic = window_errors(POINTS, 40)
    expected = errors.sum() if errors.size else 0.0
    assert {1: line, 3: cubic}[degree][length, end] == pytest.approx(expected, abs=1e-6)


def test_a_window_that_begins_before_the_curve_or_is_too_short_has_no_fit() -> None:
    line, cubic = window_errors(POINTS, 40)
    assert np.isinf(line[30, 29])
    assert np.isinf(line[0]).all()
    assert np.isinf(cubic[3, 20])
    assert line[2, 20] == pytest.approx(0, abs=1e-9)
