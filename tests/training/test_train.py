"""The trainer learns, resumes exactly, and measures without bias."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.config import ANY, Geometry, Stage
from models.network import Network
from tests.toy import CONTROLS, toy_config, toy_networks
from training.codecs import CODECS, bits_per_dim
from training.data.symbols import Batch
from training.evaluate import shares
from training.train import Recipe, Trainer, draw_slices, drop_controls, save_state, stage_share

GEOMETRY = Geometry(size=8, slice_size=4)


def batch(count: int = 16) -> Batch:
    """Flat pictures in few colours: something a toy can learn."""
    rng = np.random.default_rng(0)
    flat = rng.choice(np.array([20, 130, 250], np.uint8), (count, 1, 1, 3))
    images = np.ascontiguousarray(np.broadcast_to(flat, (count, 8, 8, 3)))
    controls = np.stack([rng.integers(1, len(c.values) + 1, count) for c in CONTROLS], 1)
    return Batch(images=images, controls=controls, families=np.zeros(count, np.int64))


def trainer(stage: Stage) -> Trainer:
    torch.manual_seed(0)
    return Trainer(Network(toy_config(GEOMETRY), stage), Recipe(learning_rate=1e-2, warmup_steps=5))


def step(t: Trainer, seed: int) -> float:
    rng, pictures = np.random.default_rng(seed), batch()
    k = draw_slices(rng, t.network.stage, GEOMETRY, len(pictures.images))
    return t.update(torch.from_numpy(pictures.images), torch.from_numpy(pictures.controls), k, 1.0)


@pytest.mark.parametrize("stage", Stage)
def test_training_lowers_bits_per_dim(stage: Stage) -> None:
    """Forty steps on flat pictures halve the stage's bits/dim."""
    t = trainer(stage)
    losses = [step(t, seed) for seed in range(40)]
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


def test_a_resumed_run_is_the_run(tmp_path: Path) -> None:
    """Saved and taken up by a new trainer, the next step ends with the same weights, average and optimiser state."""
    whole = trainer(Stage.DEPTH)
    step(whole, 0)
    save_state(whole, tmp_path / "depth.pt")
    resumed = trainer(Stage.DEPTH)
    resumed.resume(torch.load(tmp_path / "depth.pt", weights_only=True))
    assert step(whole, 1) == step(resumed, 1)
    assert resumed.step == whole.step == 2
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name])
        assert torch.equal(whole.average[name], resumed.average[name])


def test_one_slice_estimates_the_stage_without_bias() -> None:
    """The mean of a stage's share over its slices, each scaled as in training, is the share that evaluation sums."""
    networks, pictures = toy_networks(GEOMETRY), batch(4)
    exact = shares(networks, GEOMETRY, pictures)
    pixels, controls = torch.from_numpy(pictures.images).long(), torch.from_numpy(pictures.controls)
    for stage in Stage:
        ks = [s.slice for s in GEOMETRY.steps if s.stage is stage]
        nats = [networks[stage](pixels >> 5, pixels & 31, torch.full((4,), k), controls).mean() for k in ks]
        estimate = float(torch.stack(nats).mean()) * stage_share(stage, GEOMETRY)
        assert math.isclose(estimate, float(exact[stage].mean()), rel_tol=1e-5)


def test_controls_are_dropped_alone_and_together() -> None:
    """Some rows keep all, some lose one, some lose all; nothing else changes."""
    pictures = batch(2000)
    dropped = drop_controls(np.random.default_rng(0), pictures, 0.15).numpy()
    gone = (dropped == ANY).sum(1)
    assert ((dropped == pictures.controls) | (dropped == ANY)).all()
    assert set(np.unique(gone)) == {0, 1, 2, 3}
    assert (gone == 3).mean() > 0.1


def test_codecs_are_lossless_measures() -> None:
    """Flat pictures cost little, noise costs at least its entropy."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    for encode in CODECS.values():
        assert bits_per_dim(np.zeros_like(noise), encode) < 0.5
        assert bits_per_dim(noise, encode) >= 8
