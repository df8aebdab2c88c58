"""What is written is what is read; anything else is refused by name."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.cards import TENSORS, load_card, save_card
from models.checkpoint import load_model, save_model, sha256_of
from models.config import Geometry
from models.errors import CheckpointError
from tests.harness.toy import save_toy_model, toy_card, toy_networks

GEOMETRY = Geometry(size=8, slice_size=4)


def rewrite(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Replace the tensors and make the card's hash agree, so that only the tensors are wrong."""
    save_file(tensors, folder / TENSORS)
    card = load_card(folder)
    save_card(type(card)(**{**vars(card), "sha256": sha256_of(folder / TENSORS)}), folder)


def test_a_model_round_trips(tmp_path: Path) -> None:
    """Weights, configuration, controls and hash survive a save and a load."""
    networks = toy_networks(GEOMETRY)
    card = save_model(networks, toy_card(GEOMETRY), tmp_path)
    loaded, found = load_model(tmp_path)
    assert found == card
    assert all((loaded.state_dict()[name] == t).all() for name, t in networks.state_dict().items())


def test_weights_stored_in_bfloat16_are_read_as_float32(tmp_path: Path) -> None:
    """Half the bytes; each weight is the nearest bfloat16."""
    networks = toy_networks(GEOMETRY)
    save_model(networks, toy_card(GEOMETRY), tmp_path / "wide")
    save_model(networks, toy_card(GEOMETRY), tmp_path / "narrow", dtype=torch.bfloat16)
    sizes = [(tmp_path / name / TENSORS).stat().st_size for name in ("narrow", "wide")]
    assert sizes[0] < 0.6 * sizes[1]
    loaded, _ = load_model(tmp_path / "narrow")
    for name, weight in networks.state_dict().items():
        assert loaded.state_dict()[name].dtype is torch.float32
        assert torch.equal(loaded.state_dict()[name], weight.bfloat16().float())


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """One flipped byte: the hash differs from the card's."""
    path = save_toy_model(tmp_path) / TENSORS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="sha256"):
        load_model(tmp_path / "toy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {**t, "base.stranger": torch.zeros(1)}, "base.stranger is unknown"),
        (lambda t: dict(list(t.items())[1:]), "is missing"),
        (lambda t: {k: v[:1] if k == "base.decoder.first.weight" else v for k, v in t.items()}, "expected"),
        (lambda t: {k: v * float("nan") if k == "base.decoder.first.weight" else v for k, v in t.items()}, "finite"),
        (
            lambda t: {k: v.half() if k == "base.decoder.first.weight" else v for k, v in t.items()},
            "of float16, expected",
        ),
        (lambda t: {k: v.int() if k == "base.decoder.first.weight" else v for k, v in t.items()}, "of int32, expected"),
    ],
)
def test_foreign_tensors_are_refused(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """An unknown key, a missing one, a wrong shape, a NaN, a wrong dtype: each named."""
    folder = save_toy_model(tmp_path)
    rewrite(folder, {name: t.contiguous() for name, t in change(load_file(folder / TENSORS)).items()})
    with pytest.raises(CheckpointError, match=message):
        load_model(folder)


def test_missing_and_broken_cards_are_refused(tmp_path: Path) -> None:
    """No card, no tensors, no JSON: a clear error each time."""
    with pytest.raises(CheckpointError, match=r"nothing: card.json cannot be read: No such file"):
        load_model(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"file: card.json cannot be read: Not a directory"):
        load_model(tmp_path / "file")
    folder = save_toy_model(tmp_path)
    (folder / TENSORS).unlink()
    with pytest.raises(CheckpointError, match=r"safetensors is missing"):
        load_model(folder)
    (folder / "card.json").write_text("{")
    with pytest.raises(CheckpointError, match="not a model card"):
        load_model(folder)
