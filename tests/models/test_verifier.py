"""A verifier's file is checked as a model's is, and a row's answer does not depend on its batch."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.cards import ModelCard
from models.checkpoint import sha256_of
from models.config import Control, Geometry, Stage
from models.errors import CheckpointError
from models.verifier import VERIFIER, Verifier, load_verifier, save_verifier, verifier_of
from tests.harness.toy import toy_card

GEOMETRY = Geometry(size=64, slice_size=16)
LABELS, STYLES = ("A", "B", "home"), ("solid", "outline")
CONTROLS = (
    Control(name="label", values=LABELS),
    Control(name="hue", values=("red",)),
    Control(name="style", values=STYLES),
)


def card_of(controls: tuple[Control, ...] = CONTROLS) -> ModelCard:
    card = toy_card(GEOMETRY)
    plain = replace(card.config.widths[Stage.BASE], maps=())
    config = replace(card.config, controls=controls, widths=dict.fromkeys(Stage, plain))
    return replace(card, config=config, unguided_controls=())


def untaught(seed: int = 0) -> Verifier:
    torch.manual_seed(seed)
    return verifier_of(card_of().config).eval()


def slices(count: int) -> torch.Tensor:
    return torch.randint(
        0, 8, (count, *GEOMETRY.slice_shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def saved(folder: Path) -> ModelCard:
    return replace(card_of(), verifier=save_verifier(untaught(), folder))


def test_probabilities_of_each_control_sum_to_one() -> None:
    """One for each value of label and style, none for any; other controls are not read."""
    found = untaught().probabilities(slices(5))
    assert [each.shape for each in found] == [(5, len(LABELS)), (5, len(STYLES))]
    for each in found:
        assert torch.allclose(each.sum(-1), torch.ones(5))
        assert each.std(dim=0).min() > 0, "slices differ, and so do the answers"


def test_a_score_is_the_product_of_what_was_requested() -> None:
    """Label alone, style alone, or both; without either it is 1."""
    verifier, rows = untaught(), slices(4)
    label, style = verifier.probabilities(rows)
    assert torch.equal(verifier.scores(rows, (2, 0, 0)), label[:, 1])
    assert torch.equal(verifier.scores(rows, (0, 1, 1)), style[:, 0])
    assert torch.equal(verifier.scores(rows, (2, 1, 1)), label[:, 1] * style[:, 0])
    assert torch.equal(verifier.scores(rows, (0, 1, 0)), torch.ones(4))


def test_a_row_does_not_depend_on_its_batch() -> None:
    """Bit for bit, alone and among others."""
    verifier, rows = untaught(), slices(7)
    together = verifier.scores(rows, (2, 1, 2))
    alone = torch.cat([verifier.scores(row[None], (2, 1, 2)) for row in rows])
    assert torch.equal(together, alone)


def test_a_saved_verifier_answers_as_before(tmp_path: Path) -> None:
    """Up to the rounding of its weights to bfloat16; its file is small."""
    card = saved(tmp_path)
    loaded = load_verifier(tmp_path, card)
    assert loaded is not None
    assert torch.allclose(loaded.scores(slices(4), (2, 0, 0)), untaught().scores(slices(4), (2, 0, 0)), atol=0.02)
    assert (tmp_path / VERIFIER).stat().st_size < 700_000


def test_no_verifier_on_the_card_is_none(tmp_path: Path) -> None:
    """Even where a file lies."""
    save_verifier(untaught(), tmp_path)
    assert load_verifier(tmp_path, card_of()) is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Where the card has one."""
    with pytest.raises(CheckpointError, match="safetensors is missing"):
        load_verifier(tmp_path, replace(card_of(), verifier="0" * 64))


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
        load_verifier(tmp_path, replace(card_of(), verifier=sha256_of(tmp_path / VERIFIER)))


def test_a_verifier_of_other_labels_is_refused(tmp_path: Path) -> None:
    """The shape tells."""
    card = saved(tmp_path)
    other = replace(card_of((Control(name="label", values=("A", "B")), *CONTROLS[1:])), verifier=card.verifier)
    with pytest.raises(CheckpointError, match="has shape"):
        load_verifier(tmp_path, other)


def test_a_model_without_label_has_no_verifier() -> None:
    """Labels are missing, so there is nothing to classify."""
    with pytest.raises(CheckpointError, match="control label"):
        verifier_of(card_of(CONTROLS[1:]).config)
