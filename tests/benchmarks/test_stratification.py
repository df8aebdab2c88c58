"""The variance within slices and the whole variance, on vectors whose variances are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.stratification import variances


def test_variances_within_slices_and_as_a_whole() -> None:
    """Noise of variance 1 in 3 dimensions about slice means that differ with variance 4: 3 within, 7 in all."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(50, 3))
    centres = (centres - centres.mean(axis=0)) / np.sqrt((centres**2).sum(axis=1).mean() / 4)
    centres -= centres.mean(axis=0)
    vectors = centres + rng.normal(size=(400, 50, 3))
    found = variances((vectors**2).sum(axis=-1), vectors.mean(axis=0))
    assert found.within == pytest.approx(3, rel=0.05)
    assert found.whole == pytest.approx(3 + (centres**2).sum(axis=1).mean(), rel=0.05)


def test_equal_slices_save_nothing() -> None:
    """Where all slices have one distribution, equally frequent slices remove almost no variance."""
    vectors = np.random.default_rng(1).normal(size=(16, 16, 200))
    assert abs(variances((vectors**2).sum(axis=-1), vectors.mean(axis=0)).saved) < 0.03
