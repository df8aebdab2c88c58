"""Slices compared: budgets kept, both sides reported."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import slice_size


def test_both_slice_sizes_are_trained_judged_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of training each; both rows have bits and seconds, and an update has as many pixels."""
    monkeypatch.setattr(slice_size, "RUNS", tmp_path)
    monkeypatch.setattr(slice_size, "JSON", tmp_path / "found.json")
    monkeypatch.setattr(slice_size, "REPEATS", 1)
    monkeypatch.setattr(sys, "argv", ["slice_size", "--minutes", "0.02", "--images", "2"])
    slice_size.main()
    small, large = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert [row["slices"] for row in (small, large)] == ["16 x 16", "32 x 32"]
    assert all(0 < row["bits_per_dim"] < 20 and row["seconds_per_picture"] > 0 for row in (small, large))
    assert large["above_the_first"] == pytest.approx(large["bits_per_dim"] - small["bits_per_dim"])
    pixels = {
        part.recipe(0).batch * part.geometry.positions
        for side in slice_size.PACES
        for part in slice_size.run_of(side, 1).parts
    }
    assert len(pixels) == 1
