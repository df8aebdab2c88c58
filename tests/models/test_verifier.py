"""A verifier's file is checked as a model's is, and a row's answer does not depend on its batch."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.cards import ModelCard
from models.checkpoint import sha256_of
from models.config import Control, Geometry, ModelConfig, Stage
from models.errors import CheckpointError
from models.verifier import VERIFIER, Verifier, load_verifier, save_verifier, verifier_of
from tests.harness.toy import toy_card

GEOMETRY = Geometry(size=64, slice_size=16)


def untaught(seed: int = 0) -> Verifier:
    torch.manual_seed(seed)
    return verifier_of(toy_card(GEOMETRY).config).eval()


def slices(count: int) -> torch.Tensor:
    return torch.randint(
        0, 8, (count, *GEOMETRY.slice_shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def saved(folder: Path) -> ModelCard:
    return replace(toy_card(GEOMETRY), verifier=save_verifier(untaught(), folder))


def test_probabilities_sum_to_one_over_the_labels() -> None:
    """One for each value of the label, none for any."""
    found = untaught().probabilities(slices(5))
    assert found.shape == (5, len(toy_card(GEOMETRY).config.controls[0].values))
    assert torch.allclose(found.sum(-1), torch.ones(5))
    assert found.std(dim=0).min() > 0, "slices differ, and so do the answers"


def test_a_row_does_not_depend_on_its_batch() -> None:
    """Bit for bit, alone and among others."""
    verifier, rows = untaught(), slices(7)
    together = verifier.probabilities(rows)
    alone = torch.cat([verifier.probabilities(row[None]) for row in rows])
    assert torch.equal(together, alone)


def test_a_saved_verifier_answers_as_before(tmp_path: Path) -> None:
    """Up to the rounding of its weights to bfloat16; its file is small."""
    card = saved(tmp_path)
    loaded = load_verifier(tmp_path, card)
    assert loaded is not None
    assert torch.allclose(loaded.probabilities(slices(4)), untaught().probabilities(slices(4)), atol=0.02)
    assert (tmp_path / VERIFIER).stat().st_size < 700_000


def test_no_verifier_on_the_card_is_none(tmp_path: Path) -> None:
    """Even where a file lies."""
    save_verifier(untaught(), tmp_path)
    assert load_verifier(tmp_path, toy_card(GEOMETRY)) is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Where the card has one."""
    with pytest.raises(CheckpointError, match="safetensors is missing"):
        load_verifier(tmp_path, replace(toy_card(GEOMETRY), verifier="0" * 64))


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """By its sha256."""
    card = saved(tmp_path)
    path = tmp_path / VERIFIER
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CheckpointError, match="its card says"):
        load_verifier(tmp_path, card)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """With the right sha256, but no tensors."""
    (tmp_path / VERIFIER).write_bytes(b"none")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_verifier(tmp_path, replace(toy_card(GEOMETRY), verifier=sha256_of(tmp_path / VERIFIER)))


def test_a_verifier_of_other_labels_is_refused(tmp_path: Path) -> None:
    """The shape tells."""
    card = saved(tmp_path)
    label = replace(card.config.controls[0], values=("A", "B"))
    other = replace(card, config=replace(card.config, controls=(label, *card.config.controls[1:])))
    with pytest.raises(CheckpointError, match="has shape"):
        load_verifier(tmp_path, other)


def test_a_model_without_label_has_no_verifier() -> None:
    """Labels are missing, so there is nothing to classify."""
    plain = replace(toy_card(GEOMETRY).config.widths[Stage.BASE], maps=())
    controls = (Control(name="hue", values=("red",)),)
    config = ModelConfig(geometry=GEOMETRY, controls=controls, widths=dict.fromkeys(Stage, plain))
    with pytest.raises(CheckpointError, match="control label"):
        verifier_of(config)
