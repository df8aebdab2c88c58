"""Every preset trains and samples, and its cost is what is counted on real tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.cards import ModelCard
from models.config import Control, Geometry, ModelConfig, Sampling, Stage, Temperatures, Widths
from models.network import Network, build
from models.pipeline import ImageState, Pipeline
from models.subscale import Progress
from tests.harness.toy import toy_config
from training.loop.minibatches import Minibatch
from training.loop.recipe import Recipe
from training.loop.trainer import Trainer
from training.presets import PRESETS
from training.scoring.bits import stage_share
from training.scoring.costs import cost_of, kept_bytes, table

LABEL = Control(name="label", values=("a", "b"))
TINY = Widths(width=8, blocks=1, heads=1, conv_width=4, reach=1, expansion=1, embedder_blocks=1)


def tiny(name: str) -> ModelConfig:
    """A preset's geometry and controls, as narrow as it goes."""
    return replace(PRESETS[name]((LABEL,)), widths=dict.fromkeys(Stage, TINY))


def images(geometry: Geometry) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Two of noise, in bytes."""
    return np.random.default_rng(0).integers(0, 256, (2, geometry.size, geometry.size, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One step of every stage, with its last slice as target, from bytes of all 8 bits; no better than noise allows.

    It begins without its leaning towards forecasts, which noise would punish.
    """
    monkeypatch.setattr("models.decoder.AS_FORECAST", 0.0)
    config = tiny(name)
    pixels = torch.from_numpy(images(config.geometry))
    for stage in config.geometry.stages:
        last = max(step.slice for step in config.geometry.steps if step.stage is stage)
        no_drift = torch.zeros(2, config.geometry.positions, 3, dtype=torch.long)
        minibatch = Minibatch(pixels, torch.ones(2, 1, dtype=torch.long), torch.full((2,), last), no_drift)
        torch.manual_seed(0)
        bits = Trainer(Network(config, stage), Recipe()).update([minibatch], 1.0)
        entropy = config.geometry.target_bits(stage) * stage_share(stage, config.geometry) * np.log(2)
        assert 0.9 * entropy < bits < 1.5 * entropy


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_samples(name: str) -> None:
    """One slice of the depth network on a true coarse image; almost cold, so that forecasts hold and it is quick."""
    config = tiny(name)
    torch.manual_seed(0)
    networks = build(config).eval().requires_grad_(requires_grad=False)
    pipeline = Pipeline(networks, ModelCard(name=name, config=config, sha256="", parameters=0), capacity=64)
    geometry = config.geometry
    values = images(geometry)[0] >> np.uint8(8 - geometry.bits)
    state = ImageState(
        seed=1,
        controls=(1,),
        sampling=Sampling(temperature=Temperatures.alike(1e-3)),
        progress=Progress.of(values, geometry, geometry.slices),
    )
    (drawn,) = pipeline.advance([state])
    assert drawn.progress.done == geometry.slices + 1
    assert drawn.progress.slices[-1].shape == geometry.slice_shape


def test_presets_have_the_sizes_they_say() -> None:
    """Images by name; slices of 16 for 32 pixels and for symbols, else of 32; 5 bits where the name says so."""
    for name, make in PRESETS.items():
        geometry = make(()).geometry
        assert name.split("-")[1] == str(geometry.size)
        assert geometry.slice_size == (16 if geometry.size == 32 or name.startswith("symbols") else 32)
        assert geometry.bits == (5 if name.endswith("5bit") else 8)


def test_imagenet_64_has_about_150_million_parameters() -> None:
    """In its three networks together."""
    with torch.device("meta"):
        networks = build(PRESETS["imagenet-64"]((LABEL,)))
    assert sum(p.numel() for p in networks.parameters()) == pytest.approx(150e6, rel=0.07)


def test_counts_without_contents_are_counts_with_them() -> None:
    """Parameters and kept bytes of a toy, on real tensors."""
    config = toy_config(Geometry(size=8, slice_size=4))
    network = Network(config, Stage.DEPTH)
    cost = cost_of(config, Stage.DEPTH)
    assert cost.parameters == sum(p.numel() for p in network.parameters())
    assert cost.activation_bytes == kept_bytes(network, 2) - kept_bytes(network, 1)


def test_arithmetic_grows_as_it_must() -> None:
    """There and back is about three times there; twice the side has four times the slices of depth."""
    small, large = (cost_of(toy_config(Geometry(size=size, slice_size=4)), Stage.DEPTH) for size in (8, 16))
    assert 2 < small.training_flops / (small.sampling_flops / 4) < 3.5
    assert large.sampling_flops / small.sampling_flops == pytest.approx(4, rel=0.5)
    assert "| toy |" in table({"toy": {Stage.DEPTH: small}})
