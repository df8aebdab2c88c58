"""The command line trains any preset on any data, and leaves behind what it says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.config import Control, ModelConfig, Stage
from tests.harness.toy import toy_config
from training.loop.run_journal import rows_of
from training.presets import PRESETS, Preset
from training.train import main

FIVE_BITS, SYMBOLS = "celebahq-256-5bit", "symbols-64"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Presets of toy width, the folder of runs, and images for one of them."""
    for name in (FIVE_BITS, SYMBOLS):
        monkeypatch.setitem(PRESETS, name, narrow(name))
    rng = np.random.default_rng(0)
    for i in range(12):
        (tmp_path / "data" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "data" / "ab"[i % 2] / f"{i}.png")
    return tmp_path


def narrow(name: str) -> Preset:
    """A preset's geometry with the toy's widths, at 32 pixels."""
    geometry = PRESETS[name](()).geometry
    geometry = replace(geometry, size=32, slice_size=8)

    plain = toy_config(geometry).widths[Stage.SIZE]

    def make(controls: tuple[Control, ...]) -> ModelConfig:
        return ModelConfig(geometry=geometry, controls=controls, widths=dict.fromkeys(Stage, plain))

    return make


def call(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> None:
    """One short run."""
    options = ["--minutes", "0.03", "--batch", "2", "--runs", str(folder / "runs"), *arguments]
    monkeypatch.setattr(sys, "argv", ["train", *options])
    main()


def test_a_run_leaves_checkpoint_journal_and_sheet(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a second call goes on from the first, with two lots an update."""
    call(monkeypatch, run, "--stage", "size", "--sheet-minutes", "0.001")
    path = run / "runs" / SYMBOLS / "size.pt"
    first = torch.load(path, weights_only=True)
    assert set(first) == {"network", "optimizers", "average", "step"}
    call(monkeypatch, run, "--stage", "size", "--accumulate", "2")
    assert torch.load(path, weights_only=True)["step"] > first["step"] > 0
    assert rows_of(path.with_suffix(".csv"))[-1].step > first["step"]
    with Image.open(path.with_suffix(".png")) as sheet:
        assert sheet.width > 8 * 96


def test_a_folder_of_images_trains_at_five_bits(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its subfolders as labels."""
    call(
        monkeypatch, run, "--preset", FIVE_BITS, "--stage", "depth", "--data", str(run / "data"), "--labels", "folders"
    )
    state = torch.load(run / "runs" / FIVE_BITS / "depth.pt", weights_only=True)
    assert len(state["network"]["embedder.controls.0.weight"]) == 3
    assert state["network"]["decoder.pixel.tables.0.weight"].shape[0] == 4


def test_missing_data_is_said_in_one_sentence(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a traceback."""
    with pytest.raises(SystemExit, match="expected a folder of images"):
        call(monkeypatch, run, "--stage", "base", "--data", str(run / "nowhere"))
