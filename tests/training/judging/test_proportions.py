"""Shares and their intervals."""

import pytest

from training.judging.proportions import Proportion


def test_the_interval_is_wilsons() -> None:
    """Values of a table: 81 of 263 (Newcombe 1998), and both ends."""
    assert Proportion(right=81, count=263).interval == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert Proportion(right=0, count=20).interval == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert Proportion(right=20, count=20).interval == pytest.approx((0.8389, 1.0), abs=1e-4)


def test_a_share_is_counted_and_written() -> None:
    """Three of four."""
    assert Proportion.of([True, True, False, True]) == Proportion(right=3, count=4)
    assert str(Proportion(right=3, count=4)) == "75.0% (30.1% to 95.4%)"


def test_nothing_says_nothing() -> None:
    """Of no image everything is possible."""
    assert Proportion.of([]).value == 0
    assert Proportion.of([]).interval == (0.0, 1.0)
