"""A verifier learns labels from base slices, and its file and the card agree."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.cards import load_card
from models.checkpoint import save_model
from models.config import Geometry, ModelConfig, Stage
from models.network import build
from models.subscale import Progress
from models.verifier import load_verifier
from tests.harness.toy import toy_card
from tests.training.judging.test_reader import some
from training.data.symbols import DEFAULT, Pack
from training.data.vocabulary import CONTROLS, LABEL
from training.judging.glyphs import Glyphs
from training.judging.reader import names
from training.verify import VerifierTraining, accuracy_of, base_slices, example, main, train_verifier

GEOMETRY = Geometry(size=64, slice_size=16)
PACK = Pack.read(DEFAULT)


def test_a_short_training_recognises_letters_in_base_slices() -> None:
    """More than two in three new images of four letters are right; guessing is right in one of four."""
    few = some(Glyphs.train(PACK), "AEST")
    verifier = train_verifier(few, GEOMETRY, VerifierTraining(steps=40, images=12))
    slices, (labels, _) = example(few, GEOMETRY, VerifierTraining(images=25, seed=9), 0)
    read = names(verifier.probabilities(slices)[0].numpy())
    assert np.mean([name == LABEL.values[label] for name, label in zip(read, labels, strict=True)]) > 0.66
    found = accuracy_of(verifier, few, GEOMETRY)
    assert found.letters.value > 0.66
    assert (found.letters.count, found.concepts.count, found.faces.count) == (160, 0, 160)


@pytest.mark.parametrize("size", [32, 64])
def test_base_slices_are_the_models_own(size: int) -> None:
    """They equal the first slice of an image in the pipeline."""
    geometry = Geometry(size=size, slice_size=16)
    images = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    first = [Progress.of(image, geometry, 1).slices[0] for image in images]
    assert (base_slices(images, geometry) == np.stack(first)).all()


def test_examples_depend_on_training_and_step_only() -> None:
    """Equal steps have equal examples, other steps have others."""
    few = some(Glyphs.train(PACK), "AE")
    first, again, other = (example(few, GEOMETRY, VerifierTraining(images=2), step) for step in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(a, b) for a, b in zip(first[1], again[1], strict=True))
    assert not torch.equal(first[0], other[0])
    assert first[0].max() < 8


def test_the_command_writes_verifier_and_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The card then names the file, and it loads."""
    card = toy_card(GEOMETRY)
    plain = replace(card.config.widths[Stage.BASE], maps=())
    config = ModelConfig(geometry=GEOMETRY, controls=CONTROLS, widths=dict.fromkeys(Stage, plain))
    save_model(build(config), replace(card, config=config), tmp_path)
    monkeypatch.setattr(sys, "argv", ["verify", "--out", str(tmp_path), "--steps", "1"])
    monkeypatch.setattr(Glyphs, "held_out", lambda _: some(Glyphs.train(PACK), "AE"))
    main()
    assert load_verifier(tmp_path, load_card(tmp_path)) is not None
    assert "of 80 letters" in capsys.readouterr().out
