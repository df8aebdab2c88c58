"""Shipping keeps, stage by stage, what is better on held-out images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from models.cards import ModelCard, load_card
from models.checkpoint import load_model, save_model
from models.config import Geometry, Sampling, Stage, Temperatures
from models.pipeline import Pipeline
from tests.harness.toy import toy_card, toy_config, toy_networks
from training.data.symbols import ImageBatch
from training.evaluate import shares
from training.scoring.samples import temperatures
from training.ship import STORED, draw_sheet, keep_better, means, round_weights, sheet_labels

GEOMETRY = Geometry(size=8, slice_size=4)


def images() -> ImageBatch:
    """A few flat ones."""
    images = np.broadcast_to(np.arange(0, 240, 40, dtype=np.uint8)[:, None, None, None], (6, 8, 8, 3)).copy()
    return ImageBatch(images=images, controls=np.ones((6, 3), np.int64), families=np.zeros(6, np.int64))


def ship(networks: nn.ModuleDict, folder: Path, *, with_shares: bool) -> ModelCard:
    """Old weights in a folder."""
    stages = means(shares(networks, GEOMETRY, images())) if with_shares else {}
    return save_model(networks, replace(toy_card(GEOMETRY), stage_bits_per_dim=stages), folder)


@pytest.mark.parametrize("with_shares", [True, False])
def test_each_stage_keeps_its_better_weights(tmp_path: Path, *, with_shares: bool) -> None:
    """New weights that are better in one stage and worse in another: the best of both, told by card or by measurement."""
    old, other = toy_networks(GEOMETRY, seed=0), toy_networks(GEOMETRY, seed=1)
    ship(old, tmp_path, with_shares=with_shares)
    before, after = shares(old, GEOMETRY, images()), shares(other, GEOMETRY, images())
    parts = keep_better(other, tmp_path, toy_config(GEOMETRY), images())
    for stage in Stage:
        assert parts[stage].mean() == pytest.approx(min(before[stage].mean(), after[stage].mean()), abs=1e-5)
    np.testing.assert_allclose(shares(other, GEOMETRY, images())[Stage.DEPTH], parts[Stage.DEPTH], rtol=1e-6)


def test_shares_of_the_card_are_believed(tmp_path: Path) -> None:
    """A card that says the shipped stages cost nothing keeps all of them."""
    old, new = toy_networks(GEOMETRY, seed=0), toy_networks(GEOMETRY, seed=1)
    save_model(old, replace(toy_card(GEOMETRY), stage_bits_per_dim=dict.fromkeys(Stage, 0.0)), tmp_path)
    assert load_card(tmp_path).stage_bits_per_dim["depth"] == 0
    keep_better(new, tmp_path, toy_config(GEOMETRY), images())
    assert all(torch.equal(tensor, old.state_dict()[name]) for name, tensor in new.state_dict().items())


def test_a_replaced_stage_is_never_restored(tmp_path: Path) -> None:
    """By a card after which everything is worse, only the replaced stage has the new weights."""
    old, new, same = (toy_networks(GEOMETRY, seed=seed) for seed in (0, 1, 1))
    save_model(old, replace(toy_card(GEOMETRY), stage_bits_per_dim=dict.fromkeys(Stage, 0.0)), tmp_path)
    keep_better(new, tmp_path, toy_config(GEOMETRY), images(), replaced=[Stage.DEPTH])
    for stage, expected in ((Stage.BASE, old), (Stage.SIZE, old), (Stage.DEPTH, same)):
        wanted = expected[stage].state_dict()
        assert all(torch.equal(tensor, wanted[name]) for name, tensor in new[stage].state_dict().items())


def test_a_first_model_has_nothing_to_keep(tmp_path: Path) -> None:
    """Without a shipped card the new weights stay."""
    new, same = toy_networks(GEOMETRY, seed=1), toy_networks(GEOMETRY, seed=1)
    keep_better(new, tmp_path / "none", toy_config(GEOMETRY), images())
    assert all(torch.equal(tensor, same.state_dict()[name]) for name, tensor in new.state_dict().items())


def test_the_sheet_shows_every_character_and_other_labels_at_the_cards_defaults(tmp_path: Path) -> None:
    """The toy has two characters and one other label; another default gives other images."""
    assert sheet_labels(toy_config(GEOMETRY)) == [{"label": "A"}, {"label": "B"}, {"label": "icon"}]
    plain = toy_card(GEOMETRY)
    for name, sampling in (("plain", Sampling()), ("calm", Sampling(temperature=Temperatures.alike(0.3)))):
        draw_sheet(Pipeline(toy_networks(GEOMETRY), replace(plain, sampling=sampling)), tmp_path / f"{name}.png")
    with Image.open(tmp_path / "calm.png") as calm, Image.open(tmp_path / "plain.png") as warm:
        assert calm.size == warm.size
        assert calm.tobytes() != warm.tobytes()


def test_weights_are_stored_as_they_were_evaluated(tmp_path: Path) -> None:
    """Rounded first, then saved in half the bytes, and read back to the last bit."""
    networks = toy_networks(GEOMETRY)
    round_weights(networks)
    save_model(networks, toy_card(GEOMETRY), tmp_path, dtype=STORED)
    read, _ = load_model(tmp_path)
    assert all(torch.equal(tensor, read.state_dict()[name]) for name, tensor in networks.state_dict().items())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.8", Temperatures.alike(0.8)), ("size=0.7,depth=0.8", Temperatures(size=0.7, depth=0.8))],
)
def test_temperatures_are_one_number_or_some(text: str, expected: Temperatures) -> None:
    assert temperatures(text) == expected
